"""When work that failed is tried again, and when it is given up.

A machine that is away (a Fault) is nobody's mistake: such attempts are not counted towards giving up.
"""

from protocols.errors import Fault
from server.process.logs import redact_text

WAITS_S: tuple[int, ...] = (1, 5, 30, 300)
"""Waits after the 1st, 2nd, … mistake; after the one that follows, the work is given up."""

AWAY_WAIT_MAX_S = 60
"""Longest wait while a machine is away: the work is tried for as long as it takes."""

UNREPORTED_MAX = 5
"""Workers in a row that ended while they did one piece of work; after so many it is taken for what ends them."""

ERROR_CHARACTERS_MAX = 500


class WorkerKillerError(Exception):
    """Work under which worker after worker ends."""


def is_mistake(error: BaseException) -> bool:
    """Whether a failure counts towards giving up: everything but a machine that is away."""
    return not isinstance(error, Fault)


def wait_after(attempts: int, mistakes: int, error: BaseException) -> int | None:
    """Return the ms to wait after this error; None to give up.

    `attempts` and `mistakes` count what failed, this failure included.
    """
    if isinstance(error, WorkerKillerError):
        return None
    if not is_mistake(error):
        doublings = max(0, min(attempts - 1, 10))
        return 1000 * min(1 << doublings, AWAY_WAIT_MAX_S)
    return 1000 * WAITS_S[max(0, mistakes - 1)] if mistakes <= len(WAITS_S) else None


def describe(error: BaseException) -> str:
    """Return what went wrong for an operator: its kind and its first line, without secrets.

    Further lines of a database error quote rows.
    """
    line = next(iter(str(error).splitlines()), "")
    return redact_text(f"{type(error).__name__}: {line}")[:ERROR_CHARACTERS_MAX]
