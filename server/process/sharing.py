"""Where the processes of a system share their metrics: files that have all their disk before anything is written.

The library maps its files into memory and lets them grow without asking for disk. On a full disk the first touch of
such a page ends the process (SIGBUS). So the files are made here, as large as they ever get, before the library is
imported; a process that finds no room for them keeps its metrics to itself.
"""

import os
from pathlib import Path

import structlog

SHARED_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of shared values; prometheus_client reads it once, when it is imported."""

FILE_BYTES = {
    "counter": 512 * 1024,
    "histogram": 256 * 1024,
    "gauge_livesum": 64 * 1024,
    "gauge_liveall": 64 * 1024,
    "gauge_livemostrecent": 128 * 1024,
}
"""By the type that the library puts into the files' names. A sample takes about 150 bytes."""

DEAD_KEPT = 16
"""Processes that ended whose counters are still shown: each holds a megabyte, and some end every few seconds."""

_log = structlog.get_logger()


def share_metrics(folder: Path) -> bool:
    """Have this process keep its metrics in the folder; False when the disk has no room. Call it before the import."""
    pid = os.getpid()
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_long_dead(folder)
        for name, size in FILE_BYTES.items():
            made.append(folder / f"{name}_{pid}.db.new")  # a scrape must not see it empty
            with made[-1].open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
            made.append(made[-1].replace(folder / f"{name}_{pid}.db"))
    except OSError as error:
        for file_made in made:
            file_made.unlink(missing_ok=True)
        _log.warning("metrics_not_shared", folder=str(folder), error=str(error))
        return False
    os.environ[SHARED_VARIABLE] = str(folder)
    return True


def shared_folder() -> Path | None:
    """Return the folder of this process, None when it keeps its metrics to itself."""
    folder = os.environ.get(SHARED_VARIABLE)
    return Path(folder) if folder else None


def is_alive(pid: int) -> bool:
    """Whether there is such a process, also another user's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _forget_long_dead(folder: Path) -> None:
    """Delete the files of processes that ended, but for the last few."""
    counters = sorted(folder.glob("counter_*.db"), key=lambda file: file.stat().st_mtime, reverse=True)
    dead = [pid for file in counters if not is_alive(pid := int(file.stem.rpartition("_")[2]))]
    for pid in dead[DEAD_KEPT:]:
        for file in folder.glob(f"*_{pid}.db"):
            file.unlink(missing_ok=True)
