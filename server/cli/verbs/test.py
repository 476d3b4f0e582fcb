"""`test`: pytest on private engines, with what the tests need installed before."""

import shutil
import subprocess
from argparse import ArgumentParser, Namespace

from handlers.settings import Settings
from server.cli.tiers import needs_sdk, pytest_arguments
from server.cli.verb import ROOT, Verb, hand_over
from server.local.engines import ENGINES
from server.local.install import install_engines
from server.local.up import Progress


def _test(chosen: Namespace) -> int:
    if {"-h", "--help"} & set(chosen.words):
        print(TEST.parser().format_help(), "\npytest's own help:\n", sep="", flush=True)
        return hand_over("pytest", ["--help"])
    given = Settings.from_environment()
    names = tuple(name for name in ENGINES if not getattr(given, f"{name}_url"))
    say = Progress()
    install_engines(names, say)
    if needs_sdk(chosen.words):
        _install_sdk(say)
    return hand_over("pytest", pytest_arguments(chosen.words))


def _install_sdk(say: Progress) -> None:
    """Fetch the JavaScript SDK and AsyncAPI's schema for their tests, where there is npm; else these are skipped."""
    folder = ROOT / "tests" / "js"
    npm = shutil.which("npm")
    packages = [folder / "node_modules" / name for name in ("centrifuge", "@asyncapi/specs")]
    if npm is None or all(package.is_dir() for package in packages):
        return
    say("installing the JavaScript SDK for its tests (npm ci)")
    fetched = subprocess.run([npm, "ci", "--silent"], check=False, cwd=folder)  # noqa: S603 - npm of the PATH
    if fetched.returncode != 0:
        say("npm ci failed: the tests of the JavaScript SDK will be skipped")


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="PYTEST ARG",
        nargs="*",
        help="whatever pytest takes, and --slow: the second tier; default: the first (docs/testing.md)",
    )


TEST = Verb(
    name="test",
    words="[PYTEST ARGS]",
    meaning="run the first tier of tests on private engines; the second: --slow (docs/testing.md)",
    example="./mnbara test tests/unit -x -k metrics",
    run=_test,
    declare=_declare,
    hands_on_to="pytest",
    needs_dev=True,
)
