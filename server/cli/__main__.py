"""`./mnbara`: find the verb, parse its arguments, run it. Needs nothing but a filled `.venv`."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from handlers.settings import SettingsError
from server.cli.verb import UsageError, Verb
from server.cli.verbs.audit_auction import AUDIT_AUCTION
from server.cli.verbs.check import CHECK
from server.cli.verbs.conformance import CONFORMANCE, CONFORMANCE_SERVER
from server.cli.verbs.deploy_anchor import DEPLOY_ANCHOR
from server.cli.verbs.grant import GRANT
from server.cli.verbs.load_accounts import LOAD_ACCOUNTS
from server.cli.verbs.load_tools import BENCH, DEMO, SOAK
from server.cli.verbs.lock import LOCK
from server.cli.verbs.migrate import MIGRATE
from server.cli.verbs.new_command import NEW_COMMAND
from server.cli.verbs.new_domain import NEW_DOMAIN
from server.cli.verbs.replay import REPLAY
from server.cli.verbs.system import DOWN, RESET, UP
from server.cli.verbs.test import TEST
from server.cli.verbs.types import TYPES
from server.cli.verbs.verify import VERIFY
from server.cli.verbs.where import WHERE
from server.local.home import HomeError
from server.local.programs import EngineError
from server.local.up import UpError
from storage.platform.key_files import KeyFileError
from storage.platform.migrate import MigrationError


def _help(_chosen: Namespace) -> int:
    print(help_text())
    return 0


HELP = Verb(
    name="help",
    meaning="this list; of one verb: ./mnbara VERB --help; settings: python -m server --help",
    example="./mnbara help",
    run=_help,
)

VERBS = (
    UP,
    DOWN,
    RESET,
    TEST,
    CHECK,
    DEMO,
    BENCH,
    SOAK,
    CONFORMANCE,
    CONFORMANCE_SERVER,
    MIGRATE,
    GRANT,
    LOAD_ACCOUNTS,
    REPLAY,
    AUDIT_AUCTION,
    TYPES,
    VERIFY,
    DEPLOY_ANCHOR,
    WHERE,
    NEW_DOMAIN,
    NEW_COMMAND,
    LOCK,
    HELP,
)
"""In the order of the list. The shell script `mnbara` names the same verbs."""


def help_text() -> str:
    """Return the list of verbs, a line each; `./mnbara help` prints the same without Python."""
    return "\n".join(["usage: ./mnbara VERB", *(verb.line for verb in VERBS)])


def find(name: str) -> Verb:
    """Return a verb by name. Raises UsageError with the list when there is none."""
    for verb in VERBS:
        if verb.name == name:
            return verb
    raise UsageError(f"unknown verb {name!r}\n{help_text()}")


def _run(words: Sequence[str]) -> int:
    name, rest = (words[0], words[1:]) if words else (HELP.name, ())
    verb = HELP if name in {"-h", "--help"} else find(name)
    try:
        chosen = verb.parse(rest)
    except SystemExit:  # `--help` was printed
        code = 0
    else:
        code = verb.run(chosen)
    sys.stdout.flush()
    return code


def main(words: Sequence[str]) -> int:
    """Run one verb; return the exit code: 1 for what cannot be done now, 2 for a wrong command or setting."""
    try:
        return _run(words)
    except BrokenPipeError:
        # Whoever read our output has enough of it (`| head`); at exit Python would flush and complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell reports of a program that SIGPIPE ended
    except (UsageError, SettingsError) as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 2
    except (EngineError, HomeError, UpError, MigrationError, KeyFileError) as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a folder that cannot be made or written, a full disk
        where = f" ({error.filename})" if error.filename else ""
        print(f"mnbara: {error.strerror or error}{where}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
