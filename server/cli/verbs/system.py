"""`up`, `down`, `reset`: the life of the system of this home folder."""

import sys
from argparse import ArgumentParser, Namespace

from handlers.settings import Settings
from server.cli.verb import UsageError, Verb
from server.local.home import Home
from server.local.up import up


def _up(_chosen: Namespace) -> int:
    return up(Settings.from_environment())


def _down(_chosen: Namespace) -> int:
    home = Home(Settings.from_environment().home.resolve())
    print("stopped" if home.stop_running() else f"nothing runs in {home.folder}")
    return 0


def _reset(chosen: Namespace) -> int:
    home = Home(Settings.from_environment().home.resolve())
    if not home.is_held() and not chosen.yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "nobody can be asked here; `./mnbara reset --yes` deletes all data without asking"
            )
        answer = input(f"Delete all data in {home.folder}? Type yes: ")
        if answer.strip() != "yes":
            print("nothing deleted")
            return 1
    removed = home.wipe()
    print(f"deleted from {home.folder}: {', '.join(removed) or 'nothing was there'}")
    return 0


def _declare_reset(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


UP = Verb(
    name="up",
    meaning="run the whole system here; installs what is missing, Ctrl-C stops it",
    example="MNBARA_PORT=9000 MNBARA_PROCESSES=4 ./mnbara up",
    run=_up,
)
DOWN = Verb(
    name="down",
    meaning="stop the system that `up` runs",
    example="MNBARA_HOME=/srv/data ./mnbara down",
    run=_down,
)
RESET = Verb(
    name="reset",
    words="[--yes]",
    meaning="delete all data of this home folder",
    example="./mnbara reset --yes",
    run=_reset,
    declare=_declare_reset,
)
