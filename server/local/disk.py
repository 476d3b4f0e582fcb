"""Whether the disk of the private engines was full, and has room again."""

import os
from dataclasses import dataclass
from pathlib import Path

FULL_BYTES = 1024 * 1024
"""With less than this a write of an engine fails, or will in a moment."""

ROOM_BYTES = 8 * 1024 * 1024
"""With more than this they write again."""


@dataclass(slots=True)
class Disk:
    """The disk of a folder, as its supervisor sees it twice a second."""

    folder: Path
    _was_full: bool = False

    def was_freed(self) -> bool:
        """Return True once after the disk was full, as soon as it has room."""
        try:
            status = os.statvfs(self.folder)
        except OSError:
            return False
        free = status.f_bavail * status.f_frsize
        if free < FULL_BYTES:
            self._was_full = True
        elif self._was_full and free > ROOM_BYTES:
            self._was_full = False
            return True
        return False
