"""The home folder of a running system: who holds it, what runs in it, how to stop it, how to wipe it.

`up.lock` is locked by the one `up` of this home; `up.json` beside it tells its pid, URL, whether it is
ready, and its process ids by name.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

WIPED = ("engines", "secrets", "photos", "logs", "metrics")
"""What `reset` removes; nothing else in the folder is ours."""

MEMORY = Path("/dev/shm")  # noqa: S108 - folders there are made by mkdtemp

DOWN_TIMEOUT_S = 60.0
"""How long `down` waits for an orderly stop of everything."""


class HomeError(Exception):
    """The folder is in use, or not ours; the message says what to do."""


@dataclass(slots=True)
class Home:
    """One home folder."""

    folder: Path
    lock: IO[str] | None = None

    def take(self) -> None:
        """Become the one who runs here. Raises HomeError when somebody else does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = (self.folder / "up.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            told = self.read()
            raise HomeError(
                f"Mnbara runs here already: pid {told.get('pid', 'unknown')}, {told.get('url', 'starting')}"
                " (./mnbara down stops it)"
            ) from None
        self.lock = lock
        self.tell({"pid": os.getpid()})

    def release(self) -> None:
        """Let the next one in."""
        with contextlib.suppress(OSError):
            (self.folder / "up.json").unlink()
        if self.lock:
            self.lock.close()
            self.lock = None

    def open_metrics(self) -> Path:
        """Return an empty folder of metrics: in memory where there is a file system in memory, whatever disks hold."""
        self.close_metrics()
        link = self.folder / "metrics"
        if os.access(MEMORY, os.W_OK | os.X_OK):
            link.symlink_to(tempfile.mkdtemp(prefix="mnbara-metrics-", dir=MEMORY))
        else:
            link.mkdir()
        return link

    def close_metrics(self) -> None:
        """Remove that folder, also one that a killed `up` left."""
        _remove(self.folder / "metrics")

    def tell(self, facts: dict[str, Any]) -> None:
        """Write what runs here, whole or not at all."""
        new = self.folder / "up.json.new"
        new.write_text(json.dumps(facts, indent=1) + "\n")
        new.replace(self.folder / "up.json")

    def read(self) -> dict[str, Any]:
        """Return what the running `up` told last; empty when nothing was told."""
        with contextlib.suppress(OSError, ValueError):
            told = json.loads((self.folder / "up.json").read_text())
            return told if isinstance(told, dict) else {}
        return {}

    def is_held(self) -> bool:
        """Tell whether an `up` runs here now."""
        with contextlib.suppress(OSError), (self.folder / "up.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def stop_running(self) -> bool:
        """Ask the running `up` to stop and wait until it has; False when none runs. Raises HomeError."""
        if not self.is_held():
            return False
        pid = self._verified_pid()
        try:
            os.kill(pid, signal.SIGTERM)
        except PermissionError:
            raise HomeError(f"pid {pid} belongs to another user; stop it as that user") from None
        deadline = time.monotonic() + DOWN_TIMEOUT_S
        while self.is_held():
            if time.monotonic() > deadline:
                raise HomeError(
                    f"pid {pid} did not stop within {DOWN_TIMEOUT_S:.0f} s; kill -9 {pid} ends it"
                )
            time.sleep(0.05)
        return True

    def wipe(self) -> list[str]:
        """Delete all data; return what was removed. Raises HomeError while an `up` runs here."""
        self.take()
        removed = []
        try:
            removed += [name for name in WIPED if _remove(self.folder / name)]
        finally:
            self.release()
        return removed

    def _verified_pid(self) -> int:
        """Return the pid of the holder: told by itself, and it has the lock file open."""
        pid = int(self.read().get("pid", 0))
        lock = (self.folder / "up.lock").resolve()
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if link.resolve() == lock:
                        return pid
        raise HomeError(f"{lock} is held, but pid {pid} does not hold it (or belongs to another user)")


def _remove(path: Path) -> bool:
    """Delete a file or folder, and what a link leads to: root's data and metrics. Return False if there is none."""
    if path.is_symlink():
        shutil.rmtree(path.resolve(), ignore_errors=True)
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    else:
        return False
    return True
