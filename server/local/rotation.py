"""The logs of a running system are set aside by size and by age; a few of each are kept.

Processes hold their logs open for appending, so a log is copied and then cut: what is written between the two, some
milliseconds, is lost.
"""

import contextlib
import shutil
import time
from pathlib import Path

LOOK_EVERY_S = 5.0

BYTES_MAX = 20_000_000
"""A log that is larger is set aside, as `<name>.log.1`."""

AGE_S_MAX = 24 * 3600.0
"""So is one that has lines and was begun so long ago."""

KEPT = 5
"""Earlier logs of each name: `.1` is the newest of them."""


class LogRotation:
    """The logs of one folder."""

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX, age_s_max: float = AGE_S_MAX) -> None:
        """Look at `*.log` there; their age counts from the first look."""
        self._folder, self._bytes_max, self._age_s_max = folder, bytes_max, age_s_max
        self._begun: dict[Path, float] = {}
        self._look_at = 0.0

    def look(self) -> None:
        """Set aside what is large or old, at most once in `LOOK_EVERY_S`. Cost: one stat for each log."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        for log in self._folder.glob("*.log"):
            begun = self._begun.setdefault(log, now)
            with contextlib.suppress(OSError):  # a log that cannot be set aside ends nobody
                size = log.stat().st_size
                if size > self._bytes_max or (size and now - begun > self._age_s_max):
                    set_aside(log)
                    self._begun[log] = now


def set_aside(log: Path) -> None:
    """Keep what a log has as `.log.1`, and empty it. On a full disk what it has is lost. Raises OSError."""
    earlier = [log.with_suffix(f".log.{number}") for number in range(1, KEPT + 1)]
    earlier[-1].unlink(missing_ok=True)
    for older, newer in zip(reversed(earlier), reversed(earlier[:-1]), strict=False):
        with contextlib.suppress(FileNotFoundError):
            newer.replace(older)
    try:
        shutil.copyfile(log, earlier[0])
        earlier[0].chmod(log.stat().st_mode & 0o777)
    except OSError:
        earlier[0].unlink(missing_ok=True)
    with log.open("r+b") as stream:
        stream.truncate(0)
