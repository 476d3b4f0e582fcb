"""`./mnbara up`: from nothing to a served URL, then keep it running until Ctrl-C.

Order: engines (installed if missing), migrations, seed, worker, server processes, first readiness. The stop
goes the other way round.
"""

import asyncio
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from handlers.ledger.keys import find_vkey
from handlers.settings import Settings
from server.local.disk import Disk
from server.local.engines import ENGINES, EngineUrls, LocalEngines
from server.local.home import Home
from server.local.install import install_engines
from server.local.programs import EngineError, die_with_parent, tail_of
from server.local.pulse import Pulse
from server.local.rotation import LogRotation
from server.local.supervisor import START_DEATHS_MAX, Child, StopRequested, Supervisor, signals_stop
from storage.platform.migrate import migrate

ROOT = Path(__file__).resolve().parents[2]

READY_TIMEOUT_S = 60.0
"""How long the server may take from its start to its first `ready`."""

WHOLE_WAIT_S = 10.0
"""How long a start waits for what is degraded though its engine answers: a stream that has not got all its disk."""

LEAVE_S = 18.0
"""What a server process may take to end beyond the time over which it sends its sockets away."""


class UpError(Exception):
    """The system cannot start; the message says why and what to do."""


class Progress:
    """Prints a line per step with the seconds since the start."""

    def __init__(self) -> None:
        """Start the clock."""
        self.started_at = time.monotonic()

    def __call__(self, line: str) -> None:
        """Print one step. A closed terminal must not keep us from stopping in order."""
        with contextlib.suppress(OSError, ValueError):
            print(f"[{time.monotonic() - self.started_at:6.1f} s] {line}", flush=True)


def up(settings: Settings) -> int:
    """Run the whole system until asked to stop; return 0. Raises HomeError, EngineError, UpError."""
    home = Home(settings.home.resolve())
    home.take()
    say = Progress()
    run = _Run(settings, home, say)
    try:
        with signals_stop(run.kill) as wakeup_fd:
            try:
                run.start(wakeup_fd)
                run.tend_forever(wakeup_fd)
            except StopRequested:
                say("stopping (once more kills)")
            finally:
                run.stop()
    finally:
        home.release()
    say("stopped")
    return 0


class _Run:
    """One life of the system."""

    def __init__(self, settings: Settings, home: Home, say: Progress) -> None:
        self.settings = settings
        self.home = home
        self.say = say
        self.supervisor = Supervisor(say, changed=self._tell)
        names = tuple(name for name in ENGINES if not getattr(settings, f"{name}_url"))
        self.engines = LocalEngines(home.folder, names=names, say=say)
        self.urls = EngineUrls("", "", "")
        self.port: socket.socket | None = None
        self.ready = False
        self.disk = Disk(home.folder / "logs" / "nats.log", home.folder / "engines")
        self.logs = LogRotation(home.folder / "logs")

    def start(self, wakeup_fd: int) -> None:
        self.logs.look()
        self.port = reserve_port(self.settings.host, self.settings.port)
        self._start_engines()
        self._prepare_data()
        self._start_processes()
        self._await_ready(wakeup_fd)

    def tend_forever(self, wakeup_fd: int) -> None:
        while True:
            self.supervisor.tend(60.0, wakeup_fd)
            self.logs.look()
            if self.disk.was_freed():
                self._restart_nats()

    def _restart_nats(self) -> None:
        """Have the private NATS begin anew: a stream that once found no space takes no message any more."""
        nats = self.engines.children.get("nats")
        if nats is not None:
            self.say("the disk was full and has room again: NATS starts again")
            nats.terminate()

    def stop(self) -> None:
        self.supervisor.stop()
        self.engines.stop()
        self.home.close_metrics()
        if self.port:
            self.port.close()

    def kill(self) -> None:
        self.supervisor.kill()
        for child in self.engines.children.values():
            child.kill()

    def _start_engines(self) -> None:
        if self.engines.names:
            install_engines(self.engines.names, self.say)
            self.engines = LocalEngines(self.home.folder, names=self.engines.names, say=self.say)
            self.say(f"starting {', '.join(self.engines.names)}")
        given = {name: getattr(self.settings, f"{name}_url") for name in ENGINES}
        private = dataclasses.asdict(self.engines.start() if self.engines.names else self.urls)
        self.urls = EngineUrls(**{f"{name}_url": given[name] or private[f"{name}_url"] for name in ENGINES})
        for name, process in self.engines.children.items():
            ends = signal.SIGINT if name == "postgres" else signal.SIGTERM
            spawn = functools.partial(self.engines.spawn, name)
            child = Child(name, spawn, ends, 20.0, process)
            self.supervisor.start(child)

    def _prepare_data(self) -> None:
        self.say("migrating the database")
        for name in migrate_or_explain(self.urls.postgres_url):
            self.say(f"applied {name}")
        if "postgres" in self.engines.names:  # demo data are not for a database that somebody gave us
            self.say("seeding")
            command = [sys.executable, "-m", "server.cli.seed"]
            seeded = subprocess.run(  # noqa: S603 - our own module
                command, check=False, cwd=ROOT, env=self.environment()
            )
            if seeded.returncode != 0:
                raise UpError("the seed failed; see above")

    def _start_processes(self) -> None:
        count = self.settings.processes or os.cpu_count() or 1
        if self.settings.metrics_folder:
            metrics = Path(self.settings.metrics_folder)
            shutil.rmtree(metrics, ignore_errors=True)  # counters of processes that are gone
            metrics.mkdir(parents=True)
        else:
            self.home.open_metrics()
        self.say(f"starting {count} server process{'es' if count > 1 else ''} and the worker")
        self.supervisor.start(self._child("worker", "worker"))
        for number in range(count):
            child = self._child(f"server-{number}", "serve", "--process", str(number))
            child.grace_s = self.settings.drain_s + LEAVE_S
            self.supervisor.start(child)

    def _await_ready(self, wakeup_fd: int) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        whole_until = time.monotonic() + WHOLE_WAIT_S
        while not _is_ready(self.local_url(), whole=time.monotonic() < whole_until):
            self.supervisor.tend(0.1, wakeup_fd)
            for child in self.supervisor.children:
                if child.deaths >= START_DEATHS_MAX:
                    log = self._log(child.name)
                    raise UpError(f"{child.name} does not start; {log} says: {tail_of(log, 5)}")
            if time.monotonic() > deadline:
                log = self._log("server-0")
                raise UpError(f"no answer at {self.local_url()}/health/ready; {log} says: {tail_of(log, 5)}")
        self.ready = True
        self._tell()
        url = self.settings.public_url or self.local_url()
        self.say("ready")
        for line in (
            f"  REST        {url}/v1         browsable: {url}/schema",
            f"  websocket   ws{url.removeprefix('http')}/connection/websocket",
            f"  health      {url}/health/ready   metrics: {url}/metrics",
            f"  log key     {find_vkey(self.settings.secrets_folder)}",
            f"  logs        {self.home.folder}/logs",
            "  Ctrl-C stops everything; ./mnbara demo, in another terminal, lets fifty users bid",
        ):
            print(line, flush=True)

    def local_url(self) -> str:
        """Return where the server answers on this machine."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
        host = everywhere.get(self.settings.host, self.settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    def environment(self) -> dict[str, str]:
        """Return what the processes are told: our environment, the engines' URLs, an absolute home."""
        return {
            **os.environ,
            **self.urls.environment(),
            "MNBARA_HOME": str(self.home.folder),
            "MNBARA_METRICS_FOLDER": self.settings.metrics_folder or str(self.home.folder / "metrics"),
        }

    def _child(self, name: str, *words: str) -> Child:
        pulse = Pulse()
        command = [sys.executable, "-m", "server", *words, "--heartbeat", str(pulse.beats_fd)]
        log = self._log(name)
        return Child(name, lambda: _popen(command, log, self.environment(), pulse), pulse=pulse)

    def _log(self, name: str) -> Path:
        return self.home.folder / "logs" / f"{name}.log"

    def _tell(self) -> None:
        with contextlib.suppress(
            OSError
        ):  # a full disk must not end the system; the next change is told again
            self.home.tell(
                {
                    "pid": os.getpid(),
                    "url": self.local_url(),
                    "ready": self.ready,
                    "processes": self.supervisor.pids(),
                }
            )


def _popen(
    command: list[str], log: Path, environment: Mapping[str, str], pulse: Pulse
) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=ROOT,
            env=environment,
            pass_fds=(pulse.beats_fd,),
            start_new_session=True,  # Ctrl-C reaches us alone: we stop processes in order
            preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - this program has one thread
        )


def migrate_or_explain(postgres_url: str) -> list[str]:
    """Bring the database up to date; return what was applied. Raises UpError, MigrationError."""
    try:
        return asyncio.run(migrate(postgres_url))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The URL may hold a password: only the driver's words are repeated.
        raise UpError(f"cannot migrate the database: {type(error).__name__}: {error}") from None


def reserve_port(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, not listening: our processes may share it, strangers may not.

    Raises UpError when somebody listens there or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger do not count
        probe.bind((host, port))  # fails where anybody listens, with SO_REUSEPORT or not
    except (OSError, UnicodeError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise UpError(
            f"cannot listen on {host} port {port}: {told}; set MNBARA_HOST to an address of this machine and"
            " MNBARA_PORT to a free port"
        ) from None
    finally:
        probe.close()
    shared = socket.socket(family, socket.SOCK_STREAM)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.bind((host, port))
    return shared


def _is_ready(url: str, *, whole: bool) -> bool:
    """Whether a process serves with all engines; `whole`: and nothing else is degraded either."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    try:
        with opener.open(f"{url}/health/ready", timeout=2) as answer:
            degraded = set(json.load(answer)["degraded"])
            return int(answer.status) == 200 and not (degraded if whole else degraded & set(ENGINES))
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        return False


__all__ = ["EngineError", "UpError", "migrate_or_explain", "reserve_port", "up"]
