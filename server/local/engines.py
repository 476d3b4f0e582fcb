"""Private PostgreSQL, Redis and NATS under one folder, on unix sockets or free ports, never the system's.

`LocalEngines(home).start()` returns their URLs. Data live in `home`, logs in `home/logs`; sockets in a short folder
that only the owner enters, because a socket path may be 107 bytes at most. PostgreSQL refuses to run as root, so root
runs it as the `postgres` user. Every child dies with its parent (PR_SET_PDEATHSIG), also after kill -9.
"""

import contextlib
import ctypes
import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60.0
"""How long an engine may take from start to its first answer; recovery after a crash is the slow case."""

STOP_TIMEOUT_S = 20.0
"""How long an engine may take to stop before it is killed."""


class EngineError(Exception):
    """An engine is missing or did not start; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class EngineUrls:
    """Where the engines listen."""

    postgres_url: str
    redis_url: str
    nats_url: str

    def environment(self) -> dict[str, str]:
        """Return the URLs as settings."""
        return {
            "MNBARA_POSTGRES_URL": self.postgres_url,
            "MNBARA_REDIS_URL": self.redis_url,
            "MNBARA_NATS_URL": self.nats_url,
        }


def find_program(name: str) -> str | None:
    """Return the path of an engine's program: PATH, beside this Python, or Debian's PostgreSQL folders."""
    beside_python = Path(sys.executable).parent / name
    if beside_python.exists():
        return str(beside_python)
    folders = sorted((str(f) for f in Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    search = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which(name, path=search)


def die_with_parent(signal_number: int) -> Callable[[], None]:
    """Return a preexec function: the kernel sends the child this signal when its parent ends, however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)

    def arrange() -> None:
        libc.prctl(1, signal_number)

    return arrange


def free_port() -> int:
    """Return a loopback TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LocalEngines:
    """The three engines of one home folder."""

    def __init__(
        self, home: Path, *, fsync: bool = True, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        """Prepare; nothing starts yet. `fsync=False` is for tests: kill -9 loses nothing, a power cut would."""
        self.home = home.absolute()
        self.fsync = fsync
        self.say = say
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.commands: dict[str, Callable[[], subprocess.Popen[bytes]]] = {}
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:10]
        self.run_folder = Path(f"/tmp/mnbara-{os.geteuid()}-{digest}")  # noqa: S108 - mode 0700, owner checked
        self.owner = self._engine_owner()
        self.urls: EngineUrls | None = None

    # -- public ---------------------------------------------------------------------------------------------------

    def start(self) -> EngineUrls:
        """Start what is not running and wait until each answers. Raises EngineError."""
        self._prepare_folders()
        nats_port = free_port()
        self.commands = {
            "postgres": self._spawn_postgres,
            "redis": self._spawn_redis,
            "nats": lambda: self._spawn_nats(nats_port),
        }
        self._init_postgres()
        try:
            for name in self.commands:
                self.spawn(name)
            self._await("postgres", self._postgres_answers)
            self._await("redis", self._redis_answers)
            self._await("nats", lambda: _tcp_answers(nats_port))
            self._create_database("mnbara")
        except BaseException:
            self.stop()
            raise
        self.urls = EngineUrls(
            postgres_url=self.postgres_url("mnbara"),
            redis_url=f"unix://{self.run_folder}/redis.sock",
            nats_url=f"nats://127.0.0.1:{nats_port}",
        )
        return self.urls

    def spawn(self, name: str) -> subprocess.Popen[bytes]:
        """Start one engine again, after it died; it keeps its address."""
        self.children[name] = self.commands[name]()
        return self.children[name]

    def stop(self) -> None:
        """Stop all engines in reverse order and wait until they have ended."""
        for name, child in reversed(self.children.items()):
            if child.poll() is None:
                child.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        for child in reversed(self.children.values()):
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.clear()

    def postgres_url(self, database: str) -> str:
        """Return the URL of one database of the private PostgreSQL."""
        return f"postgresql://mnbara@/{database}?host={self.run_folder}"

    # -- PostgreSQL -----------------------------------------------------------------------------------------------

    def _init_postgres(self) -> None:
        folder = self.home / "postgres"
        if (folder / "PG_VERSION").exists():
            return
        self.say("creating the PostgreSQL data folder")
        self._run(
            "initdb",
            f"--pgdata={folder}",
            "--username=mnbara",
            "--auth=trust",  # the socket folder is 0700: the file system is the door
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )

    def _spawn_postgres(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.run_folder),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "wal_compression": "on",
            "fsync": "on" if self.fsync else "off",
            "synchronous_commit": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [self._program("postgres"), "-D", str(self.home / "postgres"), *options]
        return self._popen("postgres", command, signal.SIGINT)

    def _postgres_answers(self) -> bool:
        result = self._run("pg_isready", "-h", str(self.run_folder), "-q", check=False)
        return result.returncode == 0

    def _create_database(self, name: str) -> None:
        psql = ["psql", "-h", str(self.run_folder), "-U", "mnbara", "-d", "postgres", "-qtA", "-c"]
        known = self._run(*psql, f"SELECT 1 FROM pg_database WHERE datname = '{name}'").stdout.strip()  # noqa: S608 - our own constant
        if not known:
            self._run(*psql, f"CREATE DATABASE {name}")

    # -- Redis and NATS -------------------------------------------------------------------------------------------

    def _spawn_redis(self) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": f"{self.run_folder}/redis.sock",
            "unixsocketperm": "700",
            "dir": str(self.home / "redis"),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return self._popen("redis", [self._program("redis-server"), *words], signal.SIGTERM)

    def _redis_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(1)
            probe.connect(f"{self.run_folder}/redis.sock")
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        return False

    def _spawn_nats(self, port: int) -> subprocess.Popen[bytes]:
        command = [self._program("nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd"]
        return self._popen("nats", [*command, str(self.home / "nats")], signal.SIGTERM)

    # -- processes and folders ------------------------------------------------------------------------------------

    def _engine_owner(self) -> str | None:
        """Return the user that engines run as when we are root, else None (ourselves)."""
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("postgres").pw_name
        return None

    def _program(self, name: str) -> str:
        path = find_program(name)
        if path is None:
            raise EngineError(f"{name} is not installed; `./mnbara up` installs it")
        return path

    def _prepare_folders(self) -> None:
        if os.geteuid() == 0 and self.owner is None:
            raise EngineError(
                "PostgreSQL does not run as root and there is no user `postgres`; install postgresql"
            )
        for folder in (self.home, self.home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.run_folder.mkdir(mode=0o700, exist_ok=True)
        wanted = pwd.getpwnam(self.owner).pw_uid if self.owner else os.geteuid()
        status = self.run_folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {wanted, os.geteuid()}:
            raise EngineError(f"{self.run_folder} belongs to somebody else; remove it")
        for name in ("postgres", "redis", "nats"):
            (self.home / name).mkdir(mode=0o700, exist_ok=True)
        if self.owner:
            for folder in (self.run_folder, *(self.home / n for n in ("postgres", "redis", "nats"))):
                shutil.chown(folder, self.owner, self.owner)
        self.run_folder.chmod(0o700)

    def _popen(self, name: str, command: list[str], end_signal: int) -> subprocess.Popen[bytes]:
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            child: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C reaches us alone: we stop engines in order
                preexec_fn=die_with_parent(end_signal),  # noqa: PLW1509 - no threads have been started by then
                **self._as_owner(),
            )
        return child

    def _run(self, program: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        command = [self._program(program), *words]
        result: subprocess.CompletedProcess[bytes] = subprocess.run(  # noqa: S603 - our own command
            command, check=False, capture_output=True, cwd="/", **self._as_owner()
        )
        if check and result.returncode != 0:
            raise EngineError(f"{program} failed: {result.stderr.decode(errors='replace').strip()}")
        return result

    def _as_owner(self) -> dict[str, Any]:
        if self.owner is None:
            return {}
        return {"user": self.owner, "group": self.owner, "extra_groups": []}

    def _await(self, name: str, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers():
            log = self.home / "logs" / f"{name}.log"
            if self.children[name].poll() is not None:
                tail = log.read_text(errors="replace").strip().splitlines()[-3:]
                raise EngineError(f"{name} ended at start; {log} says: " + " | ".join(tail))
            if time.monotonic() > deadline:
                raise EngineError(f"{name} did not answer within {START_TIMEOUT_S:.0f} s; see {log}")
            time.sleep(0.05)


def _tcp_answers(port: int) -> bool:
    """Tell whether somebody listens on the loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
