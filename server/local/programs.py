"""Programs and processes of this machine: find them, tie their life to ours, see who may reach them."""

import contextlib
import ctypes
import grp
import os
import pwd
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class EngineError(Exception):
    """An engine is missing or did not start; the message says what to do next."""


def find_program(name: str, postgres_version: str = "") -> str | None:
    """Return the path of an engine's program: beside this Python, Debian's PostgreSQL folders, PATH.

    Several PostgreSQL versions may be installed: the one that wrote the data comes first, then the newest.
    """
    beside_python = Path(sys.executable).parent / name
    if beside_python.exists():
        return str(beside_python)
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_of, reverse=True)
    wanted = f"/usr/lib/postgresql/{postgres_version}/bin"
    search = os.pathsep.join(
        [wanted, *map(str, folders), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    )
    return shutil.which(name, path=search)


def find_postgis() -> bool:
    """Tell whether the PostgreSQL that would run has the PostGIS extension."""
    postgres = find_program("postgres")
    if postgres is None:
        return False
    program = Path(postgres).resolve()
    prefix, version = program.parents[1], program.parents[1].name
    shares = (f"/usr/share/postgresql/{version}", prefix / "share/postgresql", prefix / "share")
    return any((Path(share) / "extension/postgis.control").exists() for share in shares)


def _version_of(folder: Path) -> float:
    with contextlib.suppress(ValueError):
        return float(folder.parent.name)
    return 0.0


def die_with_parent(signal_number: int) -> Callable[[], None]:
    """Return a preexec function: the kernel signals the child when its parent ends, however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # it ended between fork and prctl
            os._exit(128 + signal.SIGKILL)

    return arrange


def free_port() -> int:
    """Return a loopback TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def can_enter(user: str, folder: Path) -> bool:
    """Tell whether `user` may pass through `folder` and every folder above it."""
    entry = pwd.getpwnam(user)
    groups = {entry.pw_gid, *(g.gr_gid for g in grp.getgrall() if user in g.gr_mem)}
    for part in (folder, *folder.parents):
        status = part.stat()
        if status.st_uid == entry.pw_uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid in groups:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return False
    return True


def tail_of(log: Path, lines: int = 3) -> str:
    """Return the last lines of a log, joined for one sentence."""
    with contextlib.suppress(OSError):
        return " | ".join(log.read_text(errors="replace").strip().splitlines()[-lines:])
    return "(no log)"
