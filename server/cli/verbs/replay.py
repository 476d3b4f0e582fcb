"""`replay`: reactions and jobs that were given up, on the database of the running system."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from handlers.settings import Settings
from server.cli.verb import Verb
from server.local.up import UpError

_DIGITS_MAX = 18
"""Fits into the column of the ids."""


def _replay(chosen: Namespace) -> int:
    from server.cli.replay import (
        UnfitFailureError,
        replay_on,
    )  # every handler is behind it: other verbs need not wait
    from server.cli.running import find_postgres, run_on_engines

    postgres_url = find_postgres(Settings.from_environment())
    try:
        found = run_on_engines(replay_on(postgres_url, chosen.failure_id, replay_all=chosen.all, say=print))
    except UnfitFailureError as unfit:
        raise UpError(f"failure {chosen.failure_id} is not put back: {unfit}") from None
    if not found:
        raise UpError(f"there is no failure {chosen.failure_id}; ./mnbara replay lists them")
    return 0


def _failure_id(text: str) -> int:
    """Return the id of a failure. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_MAX:
        raise ArgumentTypeError(f"{text[:40]!r} is no id of a failure; ./mnbara replay lists them")
    return int(text)


def _declare(parser: ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("failure_id", nargs="?", type=_failure_id, metavar="ID", help="put this one back")
    which.add_argument("--all", action="store_true", help="put all back")
    which.add_argument("--list", action="store_true", help="list them, as without any argument")


REPLAY = Verb(
    name="replay",
    words="[ID | --all]",
    meaning="list the reactions and jobs that were given up, or put them back to be tried again",
    example="./mnbara replay 12",
    run=_replay,
    declare=_declare,
)
