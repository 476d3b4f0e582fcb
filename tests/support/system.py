"""Run the whole system in a test: `./mnbara up` with a home, a port and processes of its own.

with running_system(tmp_path / "home", processes=2) as system:
    httpx.get(system.base_url + "/health/ready")
    system.kill("server-0")          # the supervisor starts it again under another pid
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from server.local.home import Home
from server.local.programs import free_port

ROOT = Path(__file__).parents[2]

READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0


@dataclass(slots=True)
class System:
    """A running system and its processes by name: server-0 …, worker, postgres, redis, nats."""

    home: Path
    port: int
    supervisor: subprocess.Popen[bytes]

    @property
    def base_url(self) -> str:
        """Where REST answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        """Where the Centrifuge SDKs connect."""
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def facts(self) -> dict:
        """What the supervisor told last: pid, url, ready, processes."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.home / "up.json").read_text())
        return {}

    def pids(self) -> dict[str, int]:
        """Process ids by name of what runs now."""
        return self.facts().get("processes", {})

    def server_pids(self) -> list[int]:
        """Process ids of the server processes."""
        return [pid for name, pid in sorted(self.pids().items()) if name.startswith("server-")]

    def kill(self, name: str, signal_number: int = signal.SIGKILL, *, await_restart_s: float = 30.0) -> int:
        """Kill one process and wait until the supervisor has started it again; return its new pid."""
        before = self.pids()[name]
        os.kill(before, signal_number)
        deadline = time.monotonic() + await_restart_s
        while time.monotonic() < deadline:
            now = self.pids().get(name, before)
            if now != before:
                return now
            time.sleep(0.02)
        raise AssertionError(f"{name} was not started again within {await_restart_s} s\n{self.logs()}")

    def stop(self) -> int:
        """Stop everything in order; return the supervisor's exit code."""
        if self.supervisor.poll() is None:
            self.supervisor.terminate()
        try:
            return self.supervisor.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()
            raise AssertionError(
                f"the system did not stop within {STOP_TIMEOUT_S} s\n{self.logs()}"
            ) from None

    def logs(self, lines: int = 15) -> str:
        """The last lines of every log, for a failing test's message."""
        parts = []
        for log in sorted((self.home / "logs").glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {log.name}", *tail]))
        return "\n".join(parts)


def start_system(
    home: Path,
    port: int | None = None,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
) -> System:
    """Start the system and wait until it is ready.

    Private engines of `home` unless `environment` gives URLs (those of the fixtures are the fastest).
    Raises AssertionError with the logs when it does not become ready.
    """
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    settings = {
        "MNBARA_HOME": str(home),
        "MNBARA_PORT": str(port),
        "MNBARA_PROCESSES": str(processes),
        **(environment or {}),
    }
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("MNBARA_")}
    (home / "logs").mkdir(exist_ok=True)
    with (home / "logs" / "up.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "up"],
            cwd=ROOT,
            env=inherited | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    system = System(home.resolve(), port, supervisor)
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not (system.facts().get("pid") == supervisor.pid and system.facts().get("ready")):
        if supervisor.poll() is not None or time.monotonic() > deadline:
            told = f"exit {supervisor.poll()}" if supervisor.poll() is not None else "not ready in time"
            system.stop()
            raise AssertionError(f"the system did not start: {told}\n{system.logs()}")
        time.sleep(0.02)
    return system


@contextlib.contextmanager
def scratch_home() -> Iterator[Path]:
    """Yield a new home folder inside the clone, where root's engines can reach it; wipe it afterwards."""
    folder = ROOT / ".local" / "homes" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        Home(folder).wipe()  # also the data that root keeps elsewhere
        shutil.rmtree(folder)


@contextlib.contextmanager
def running_system(
    home: Path,
    port: int | None = None,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Iterator[System]:
    """Run the system for the length of a `with` block."""
    system = start_system(home, port, processes, environment)
    try:
        yield system
    finally:
        system.stop()
