"""Private PostgreSQL, Redis and NATS of one home folder, on unix sockets or free ports, never the system's.

`LocalEngines(home).start()` returns their URLs. Data live in `home/engines`, logs in `home/logs`; sockets
in a short folder that only the owner enters, because a socket path may be 107 bytes at most. PostgreSQL
refuses to run as root, so root runs the engines as the user `postgres`; when that user cannot pass through
the folders above `home`, `home/engines` is a link to a folder under /var/lib/mnbara. Every child dies with
its parent, also after kill -9, and holds the lock of the data folder until it has ended, so nothing else
opens the data before.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from server.local.programs import (
    EngineError,
    can_enter,
    die_with_parent,
    find_program,
    free_port,
    tail_of,
)

__all__ = ["EngineError", "EngineUrls", "LocalEngines", "find_program", "free_port"]

START_TIMEOUT_S = 60.0
"""How long an engine may take from start to its first answer; recovery after a crash is the slow case."""

STOP_TIMEOUT_S = 20.0
"""How long an engine may take to stop before it is killed."""

DATA_OF_ROOT = Path("/var/lib/mnbara")
"""Where root keeps the engines' data when user `postgres` cannot reach the home folder."""

ENGINES = ("postgres", "redis", "nats")


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


class LocalEngines:
    """The private engines of one home folder; `names` leaves out those that somebody else runs."""

    def __init__(
        self,
        home: Path,
        *,
        names: tuple[str, ...] = ENGINES,
        fsync: bool = True,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Prepare; nothing starts yet. `fsync=False` is for tests: only a power cut would lose data."""
        self.home = home.resolve()
        self.names = names
        self.fsync = fsync
        self.say = say
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:10]
        self.run_folder = Path(f"/tmp/mnbara-{os.geteuid()}-{self.digest}")  # noqa: S108 - 0700, owner checked
        self.owner = _engine_owner()
        self.data = self.home / "engines"
        self.nats_port = 0
        self.nats_password = secrets.token_urlsafe(24)
        self._lock: IO[bytes] | None = None

    # -- public -----------------------------------------------------------------------------------------

    def start(self) -> EngineUrls:
        """Start the engines, wait until each answers, return their URLs. Raises EngineError."""
        if os.geteuid() == 0 and self.owner is None and "postgres" in self.names:
            raise EngineError(
                "PostgreSQL does not run as root and there is no user `postgres`; install postgresql"
            )
        open_log_folder(self.home)
        self.data = self._data_folder()
        try:
            self._take_lock()
            self._prepare_folders()
            if "postgres" in self.names:
                self._init_postgres()
            self.nats_port = free_port()
            for name in self.names:
                self.spawn(name)
            for name in self.names:
                self._await(name)
            if "postgres" in self.names:
                self._create_database("mnbara")
        except BaseException:
            self.stop()
            raise
        return self.urls()

    def urls(self) -> EngineUrls:
        """Return where the engines listen; the same for the whole life of this object."""
        nats_url = f"nats://mnbara:{self.nats_password}@127.0.0.1:{self.nats_port}"
        return EngineUrls(
            postgres_url=self.postgres_url("mnbara") if "postgres" in self.names else "",
            redis_url=self.redis_url() if "redis" in self.names else "",
            nats_url=nats_url if "nats" in self.names else "",
        )

    def spawn(self, name: str) -> subprocess.Popen[bytes]:
        """Start one engine, also again after it died; it keeps its address."""
        spawners = {"postgres": self._spawn_postgres, "redis": self._spawn_redis, "nats": self._spawn_nats}
        self.children[name] = spawners[name]()
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
        if self._lock:
            shutil.rmtree(self.run_folder, ignore_errors=True)
            self._lock.close()
            self._lock = None

    def redis_url(self) -> str:
        """Return the URL of the private Redis."""
        return f"unix://{self.run_folder}/redis.sock"

    def postgres_url(self, database: str) -> str:
        """Return the URL of one database of the private PostgreSQL."""
        return f"postgresql://mnbara@/{database}?host={self.run_folder}"

    def postgres_answers(self) -> bool:
        """Tell whether the private PostgreSQL of this home takes connections now, whoever started it."""
        return self._run("pg_isready", "-h", str(self.run_folder), "-q", check=False).returncode == 0

    # -- PostgreSQL -------------------------------------------------------------------------------------

    def _init_postgres(self) -> None:
        folder, unfinished = self.data / "postgres", self.data / "postgres.new"
        if (folder / "PG_VERSION").exists():
            return
        self.say("creating the PostgreSQL data folder")
        shutil.rmtree(unfinished, ignore_errors=True)  # an initdb that was killed half-way
        self._make_folder(unfinished)
        self._run(
            "initdb",
            f"--pgdata={unfinished}",
            "--username=mnbara",
            "--auth=trust",  # the socket folder is 0700: the file system is the door
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            *(() if self.fsync else ("--no-sync",)),
        )
        unfinished.rename(folder)

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
            # The log says what failed, never with which values: a statement quotes its literals, its context the
            # parameters. Our own log has the error under a trace id. See also `_create_database`.
            "log_statement": "none",
            "log_min_error_statement": "panic",
            "log_parameter_max_length": "0",
            "log_parameter_max_length_on_error": "0",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [self._program("postgres"), "-D", str(self.data / "postgres"), *options]
        return self._popen("postgres", command, signal.SIGINT)

    def _create_database(self, name: str) -> None:
        psql = ["psql", "-X", "-h", str(self.run_folder), "-U", "mnbara", "-d", "postgres", "-qtA", "-c"]
        # DETAIL quotes rows and keys; of what happens outside a session, as at the start, it stays.
        terse = "ALTER ROLE mnbara SET log_error_verbosity = 'terse'"
        find = f"SELECT 1 FROM pg_database WHERE datname = '{name}'"  # noqa: S608 - our own constant
        known = self._run(*psql, f"{terse}; {find}").stdout.strip()
        if not known:
            self._run(*psql, f"CREATE DATABASE {name}")

    # -- Redis and NATS ---------------------------------------------------------------------------------

    def _spawn_redis(self) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": f"{self.run_folder}/redis.sock",
            "unixsocketperm": "700",
            "dir": str(self.data / "redis"),
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

    def _spawn_nats(self) -> subprocess.Popen[bytes]:
        # NATS has no unix socket: the password keeps other users of the machine out of the loopback port.
        settings = self.data / "nats.conf"
        settings.unlink(missing_ok=True)
        settings.touch(mode=0o600)
        settings.write_text(
            f'host: 127.0.0.1\nport: {self.nats_port}\njetstream {{ store_dir: "{self.data}/nats" }}\n'
            f'authorization {{ user: mnbara, password: "{self.nats_password}" }}\n'
        )
        if self.owner:
            shutil.chown(settings, self.owner, self.owner)
        return self._popen("nats", [self._reachable_nats(), "-c", str(settings)], signal.SIGTERM)

    def _reachable_nats(self) -> str:
        """Return a nats-server the engines' owner may run: `.venv` may lie below a folder closed to it."""
        program = Path(self._program("nats-server"))
        if not self.owner or (
            can_enter(self.owner, program.parent) and program.stat().st_mode & 0o005 == 0o005
        ):
            return str(program)
        copy = self.data / "bin" / program.name
        if not copy.exists() or copy.stat().st_size != program.stat().st_size:
            copy.parent.mkdir(exist_ok=True)
            copy.parent.chmod(0o755)
            shutil.copyfile(program, copy)
            copy.chmod(0o755)
        return str(copy)

    # -- processes and folders --------------------------------------------------------------------------

    def _program(self, name: str) -> str:
        version = self.data / "postgres" / "PG_VERSION"
        path = find_program(name, version.read_text().strip() if version.exists() else "")
        if path is None:
            raise EngineError(f"{name} is not installed; `./mnbara up` installs it")
        return path

    def _prepare_folders(self) -> None:
        self.data.chmod(0o755)  # the folders inside are closed
        self.run_folder.mkdir(mode=0o700, exist_ok=True)
        status = self.run_folder.lstat()
        wanted = pwd.getpwnam(self.owner).pw_uid if self.owner else os.geteuid()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {wanted, os.geteuid()}:
            raise EngineError(f"{self.run_folder} belongs to somebody else; remove it")
        for folder in (self.run_folder, *(self.data / name for name in self.names)):
            if folder.name != "postgres":  # initdb makes it, complete or not at all
                self._make_folder(folder)

    def _data_folder(self) -> Path:
        """Return the folder of the data, made if need be, which the engines' owner can reach."""
        folder = self.home / "engines"
        if self.owner and not folder.is_symlink() and not can_enter(self.owner, self.home):
            target = DATA_OF_ROOT / self.digest
            target.parent.mkdir(parents=True, exist_ok=True)
            target.parent.chmod(0o755)
            if folder.exists():  # the folders above were open when the data were made
                shutil.move(folder, target)
            folder.symlink_to(target)
        folder = folder.resolve()
        folder.mkdir(exist_ok=True)
        return folder

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.owner:
            shutil.chown(folder, self.owner, self.owner)
        folder.chmod(0o700)

    def _take_lock(self) -> None:
        """Hold the data folder for us and, by inheritance, for every engine until it has ended."""
        lock = (self.data / "lock").open("wb")
        deadline = time.monotonic() + STOP_TIMEOUT_S
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    lock.close()
                    raise EngineError(
                        f"other processes use the engines of {self.data}; end them first"
                    ) from None
                if not said:
                    self.say("waiting for the engines of an earlier run to end")
                    said = True
                time.sleep(0.05)
            else:
                self._lock = lock
                return

    def _popen(self, name: str, command: list[str], end_signal: int) -> subprocess.Popen[bytes]:
        assert self._lock is not None
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=(self._lock.fileno(),),
                start_new_session=True,  # Ctrl-C reaches us alone: we stop engines in order
                preexec_fn=die_with_parent(end_signal),  # noqa: PLW1509 - no threads have been started by then
                **self._as_owner(),
            )

    def _run(self, program: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        command = [self._program(program), *words]
        result = subprocess.run(  # noqa: S603 - our own command
            command, check=False, capture_output=True, cwd="/", **self._as_owner()
        )
        if check and result.returncode != 0:
            raise EngineError(f"{program} failed: {result.stderr.decode(errors='replace').strip()}")
        return result

    def _as_owner(self) -> dict[str, Any]:
        if self.owner is None:
            return {}
        return {"user": self.owner, "group": self.owner, "extra_groups": []}

    def _await(self, name: str) -> None:
        checks: dict[str, Callable[[], bool]] = {
            "postgres": self.postgres_answers,
            "redis": self._redis_answers,
            "nats": lambda: _tcp_answers(self.nats_port),
        }
        answers = checks[name]
        log = self.home / "logs" / f"{name}.log"
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers():
            if self.children[name].poll() is not None:
                raise EngineError(f"{name} ended at start; {log} says: {tail_of(log)}")
            if time.monotonic() > deadline:
                raise EngineError(f"{name} did not answer within {START_TIMEOUT_S:.0f} s; see {log}")
            time.sleep(0.03)


def open_log_folder(home: Path) -> None:
    """Make the folder of logs, or close it again to all but its owner: logs may quote what people sent."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _engine_owner() -> str | None:
    """Return the user that engines run as when we are root, else None (ourselves)."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return None


def _tcp_answers(port: int) -> bool:
    """Tell whether somebody listens on the loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
