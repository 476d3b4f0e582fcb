"""`replay`: reactions and jobs that were given up, on the database of the running system."""

import asyncio
from argparse import ArgumentParser, Namespace

from handlers.settings import Settings
from server.cli.verb import Verb
from server.local.engines import LocalEngines
from server.local.up import UpError


def _replay(chosen: Namespace) -> int:
    from server.cli.replay import replay_on  # the database's driver is behind it: other verbs need not wait

    settings = Settings.from_environment()
    private = LocalEngines(settings.home)
    if not settings.postgres_url and not private.postgres_answers():
        raise UpError("nothing runs here; start the system with ./mnbara up first")
    postgres_url = settings.postgres_url or private.postgres_url("mnbara")
    if not asyncio.run(replay_on(postgres_url, chosen.failure_id, replay_all=chosen.all, say=print)):
        raise UpError(f"there is no failure {chosen.failure_id}; ./mnbara replay lists them")
    return 0


def _declare(parser: ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("failure_id", nargs="?", type=int, metavar="ID", help="put this one back")
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
