"""Whether an engine found no space on its disk, and there is room again.

The disk is looked at twice a second. What is full for a shorter time is told by the engine's log alone.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

FULL_BYTES = 1024 * 1024
"""With less than this a write of an engine fails, or will in a moment."""

ROOM_BYTES = 8 * 1024 * 1024
"""With more than this they write again."""

NO_SPACE = os.strerror(errno.ENOSPC).lower().encode()
"""What the log says."""

READ_BYTES_MAX = 256 * 1024
"""Of a log, at a time."""


@dataclass(slots=True)
class Disk:
    """The disk of one engine, as its supervisor sees it."""

    log: Path
    """The engine's log."""
    folder: Path
    """Its data: root's may be on another disk than the log."""
    _was_full: bool = False
    _read_to: int = -1
    """How much of the log was read; -1 before the first look, which takes what is there as old."""

    def was_freed(self) -> bool:
        """Return True once after the disk was full, as soon as it has room."""
        try:
            status = os.statvfs(self.folder)
            self._was_full |= self._has_told()
        except OSError:
            return False
        free = status.f_bavail * status.f_frsize
        if free < FULL_BYTES:
            self._was_full = True
        elif self._was_full and free > ROOM_BYTES:
            self._was_full = False
            return True
        return False

    def _has_told(self) -> bool:
        """Whether the log says so since the last look. Raises OSError."""
        size = self.log.stat().st_size
        since = min(
            size, size if self._read_to < 0 else self._read_to
        )  # it may have been set aside and begun anew
        self._read_to = size
        if since == size:
            return False
        with self.log.open("rb") as stream:
            stream.seek(max(since, size - READ_BYTES_MAX))
            return NO_SPACE in stream.read(READ_BYTES_MAX).lower()
