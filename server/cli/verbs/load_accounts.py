"""`load-accounts`: accounts for locust, made on the running system's database."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from handlers.settings import Settings
from server.cli.verb import UsageError, Verb

ACCOUNTS_MAX = 100_000
"""Of one file: locust keeps a number for each."""


def _load_accounts(chosen: Namespace) -> int:
    from server.cli.load_accounts import AccountsFileError, load_accounts  # other verbs need no driver
    from server.cli.running import find_postgres, run_on_engines

    postgres_url = find_postgres(Settings.from_environment())
    try:
        print(run_on_engines(load_accounts(postgres_url, chosen.count, chosen.out, _say)))
    except AccountsFileError as error:
        raise UsageError(str(error)) from None
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:7]) <= ACCOUNTS_MAX):
        raise ArgumentTypeError(f"{text!r} is no number from 1 to {ACCOUNTS_MAX:,}")
    return int(text)


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "count", metavar="N", type=_count, help=f"how many accounts, at most {ACCOUNTS_MAX:,}"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        required=True,
        help="file for locust; when it is there, its accounts are completed up to N",
    )


LOAD_ACCOUNTS = Verb(
    name="load-accounts",
    words="N --out FILE",
    meaning="make N accounts for a load test, and the file that locust reads",
    example="./mnbara load-accounts 5000 --out accounts.json",
    run=_load_accounts,
    declare=_declare,
)
