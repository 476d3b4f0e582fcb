"""When work that failed is tried again, and when it is given up."""

from protocols.errors import Fault
from server.process.logs import redact_text

WAITS_S: tuple[int, ...] = (1, 5, 30, 300)
"""Waits after the 1st, 2nd, … attempt that failed by a mistake; after the one that follows, it is given up."""

AWAY_WAIT_MAX_S = 60
"""Longest wait while a machine is away: that is nobody's mistake, so it is tried for as long as it takes."""

ERROR_CHARACTERS_MAX = 500


def wait_after(attempts: int, error: BaseException) -> int | None:
    """Return the ms to wait after so many failed attempts, the last of them by this error; None to give up."""
    if isinstance(error, Fault):
        doublings = min(attempts - 1, 10)
        return 1000 * min(1 << doublings, AWAY_WAIT_MAX_S)
    return 1000 * WAITS_S[attempts - 1] if attempts <= len(WAITS_S) else None


def describe(error: BaseException) -> str:
    """Return what went wrong for an operator: its kind and its first line, without secrets.

    Further lines of a database error quote rows.
    """
    line = next(iter(str(error).splitlines()), "")
    return redact_text(f"{type(error).__name__}: {line}")[:ERROR_CHARACTERS_MAX]
