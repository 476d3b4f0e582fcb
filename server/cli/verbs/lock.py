"""`lock`: both lock files anew, from pyproject.toml."""

import subprocess
from argparse import ArgumentParser, Namespace

from server.cli.verb import ROOT, Verb, tool

OPTIONS = ("--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11")
GROUPS: dict[str, tuple[str, ...]] = {"requirements.lock": (), "requirements-dev.lock": ("--group", "dev")}


def _lock(chosen: Namespace) -> int:
    upgrade = ["--upgrade"] if chosen.upgrade else []
    for target, group in GROUPS.items():
        command = [tool("uv"), "pip", "compile", "pyproject.toml", *OPTIONS, *group, *upgrade, "-o", target]
        result = subprocess.run(command, check=False, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - our own tool
        if result.returncode != 0:
            return result.returncode
        print(f"wrote {target}")
    return 0


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows"
    )


LOCK = Verb(
    name="lock",
    words="[--upgrade]",
    meaning="renew requirements.lock and requirements-dev.lock",
    example="./mnbara lock --upgrade",
    run=_lock,
    declare=_declare,
    needs_dev=True,
)
