"""A verb of `./mnbara` as one value: its line in the list, its `--help`, its arguments and what it does."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from handlers.settings import Settings
from server.local.home import Home

ROOT = Path(__file__).resolve().parents[2]


class UsageError(Exception):
    """The command line is wrong; the message says what is right."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().strip()}")


def _takes_nothing(_parser: argparse.ArgumentParser) -> None:
    """Declare no argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One verb. `run` returns the exit code; it raises UsageError for arguments that only it can judge."""

    name: str
    meaning: str
    """One line, without a full stop."""
    example: str
    run: Callable[[argparse.Namespace], int]
    words: str = ""
    """The arguments as the list shows them."""
    declare: Callable[[argparse.ArgumentParser], None] = _takes_nothing
    """Adds the arguments to the verb's parser."""
    hands_on_to: str = ""
    """A module with a command line of its own: it gets all arguments, in `Namespace.words`, `--help` too."""
    needs_dev: bool = False
    """Whether it needs requirements-dev.lock; `mnbara`, the shell script, knows the same."""

    @property
    def line(self) -> str:
        """The verb's line in the list."""
        return f"  {f'{self.name} {self.words}'.strip():<20} {self.meaning}"

    def parser(self) -> argparse.ArgumentParser:
        """Return the parser of the verb's arguments, which raises UsageError."""
        parser = _Parser(
            prog=f"./mnbara {self.name}",
            description=f"{self.meaning[0].upper()}{self.meaning[1:]}.",
            epilog=f"example: {self.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.declare(parser)
        return parser

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the arguments. Raises UsageError; SystemExit(0) after `--help`."""
        if self.hands_on_to:
            return argparse.Namespace(words=list(words))
        return self.parser().parse_args(words)


def hand_over(module: str, words: Sequence[str]) -> int:
    """Replace this process by a module, so that its output, signals and exit code are its own."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UsageError(f"the module {module} is not part of this checkout")
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", module, *words])  # noqa: S606 - our own module


def tool(name: str) -> str:
    """Return the path of a development tool in `.venv`."""
    return str(Path(sys.executable).parent / name)


def running_url() -> str:
    """Return where the system of this home answers: what its `up` told, else what the settings say."""
    settings = Settings.from_environment()
    home = Home(settings.home)
    told = home.read().get("url") if home.is_held() else None
    return str(told or settings.url)
