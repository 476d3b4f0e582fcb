"""Programs under measurement: small servers on a port of their own, and a whole private system. Ended by id."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.accounts import Account, sign_in_many
from load.benchmarks.machine import free_port
from load.wire import websocket_url

ROOT = Path(__file__).resolve().parents[2]
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0


class BenchmarkError(Exception):
    """A benchmark cannot run, or its result is wrong; the message says why."""


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else "no log"


def _end_with_parent() -> None:
    """Runs in the child: a benchmark that is killed leaves nothing running."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _spawn(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 - our own modules
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C reaches us alone: we end the measurement, then the programs
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no threads have been started by then
        )


async def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class SmallServer:
    """A running one-process server."""

    pid: int
    url: str


@contextlib.asynccontextmanager
async def small_server(home: Path, module: str, *words: str) -> AsyncIterator[SmallServer]:
    """Run `python -m module PORT *words` until the block ends. Raises BenchmarkError when it does not listen."""
    port = free_port()
    log = home / "logs" / f"{module.rpartition('.')[2]}.log"
    async with listening_program([sys.executable, "-m", module, str(port), *words], port, log) as pid:
        yield SmallServer(pid, websocket_url(f"http://127.0.0.1:{port}"))


@contextlib.asynccontextmanager
async def listening_program(command: list[str], port: int, log: Path) -> AsyncIterator[int]:
    """Run a program until the block ends; yield its pid once it listens. Raises BenchmarkError when it does not."""
    process = _spawn(command, log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not await _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"{log.stem} does not start: {_tail(log)}")
            await asyncio.sleep(0.05)
        yield process.pid
    finally:
        await _end(process)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@dataclass(frozen=True, slots=True)
class System:
    """A running Mnbara, started by `up` in a home of its own."""

    home: Path
    base_url: str

    @property
    def websocket_url(self) -> str:
        """Where sockets connect."""
        return websocket_url(self.base_url)

    async def accounts(self, count: int) -> list[Account]:
        """Return that many signed-in users, the same in every run."""
        return await sign_in_many(self.base_url, count, "bench", self.home / "accounts.json")

    def pids(self) -> dict[str, int]:
        """Return the process ids of what runs now, by name: server-0 …, worker, postgres, redis, nats."""
        return dict(_facts(self.home).get("processes", {}))

    def groups(self) -> dict[str, list[int]]:
        """Return the root pids of what is measured apart: server, worker, postgres, redis, nats, and ourselves."""
        found: dict[str, list[int]] = {"generator": [os.getpid()]}
        for name, pid in self.pids().items():
            found.setdefault(name.partition("-")[0], []).append(pid)
        return found

    def postgres_dsn(self) -> str:
        """Return the URL of the private PostgreSQL's database, read from its own command line."""
        pid = _facts(self.home)["processes"]["postgres"]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        folder = next(w.partition("=")[2] for w in words if w.startswith("unix_socket_directories="))
        return f"postgresql://mnbara@/mnbara?host={folder}"


def _facts(home: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        told = json.loads((home / "up.json").read_text())
        return told if isinstance(told, dict) else {}
    return {}


@contextlib.asynccontextmanager
async def running_system(home: Path, processes: int) -> AsyncIterator[System]:
    """Run a private system, rate limits off, until the block ends. Raises BenchmarkError with its log."""
    port = free_port()
    log = home / "logs" / "up.log"
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("MNBARA_")}
    settings = {
        "MNBARA_HOME": str(home),
        "MNBARA_PORT": str(port),
        "MNBARA_PROCESSES": str(processes),
        "MNBARA_RATE_LIMITS": "off",
        "MNBARA_ACCESS_TOKEN_S": "7200",
        "MNBARA_LOG_LEVEL": "warning",
    }
    process = _up(log, inherited | settings)
    try:
        try:
            await _await_ready(home, process, log)
        except BenchmarkError:
            if process.poll() is None:
                raise
            # Data of an earlier state of this checkout; they are worth nothing.
            _reset(inherited | settings)
            process = _up(log, inherited | settings)
            await _await_ready(home, process, log)
        yield System(home, f"http://127.0.0.1:{port}")
    finally:
        await _end(process)


def _up(log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return _spawn([sys.executable, "-m", "server.cli", "up"], log, environment)


def _reset(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "server.cli", "reset", "--yes"]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - ours


async def _await_ready(home: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for the first readiness. Raises BenchmarkError with the end of the log."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (_facts(home).get("pid") == process.pid and _facts(home).get("ready")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkError(f"the system does not start: {_tail(log)}")
        await asyncio.sleep(0.1)
