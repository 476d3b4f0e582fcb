"""`check`: every tool that reads the code, also after one has found something."""

import shutil
import subprocess
import sys
import time
from argparse import Namespace

from server.cli.verb import ROOT, Verb, tool

_MENDED_BY = {"format": ".venv/bin/ruff format .", "lint": ".venv/bin/ruff check --fix . (what it can)"}


def _check(_chosen: Namespace) -> int:
    failed = []
    for name, command in _commands():
        started_at = time.monotonic()
        result = subprocess.run(  # noqa: S603 - our own tools
            command, check=False, cwd=ROOT, text=True, capture_output=True
        )
        verdict = "ok" if result.returncode == 0 else "FAILED"
        print(f"{name:<10} {verdict:<7} {time.monotonic() - started_at:5.1f} s", flush=True)
        if result.returncode != 0:
            failed.append(name)
            print((result.stdout + result.stderr).strip(), flush=True)
            if name in _MENDED_BY:
                print(f"to mend it: {_MENDED_BY[name]}", flush=True)
    print(f"check failed: {', '.join(failed)}" if failed else "check passed")
    return 1 if failed else 0


def _commands() -> list[tuple[str, list[str]]]:
    checks = [
        ("format", [tool("ruff"), "format", "--check", "."]),
        ("lint", [tool("ruff"), "check", "."]),
        ("types", [tool("mypy")]),
        ("imports", [tool("lint-imports")]),
        ("spelling", [tool("codespell")]),
        (
            "catalogue",
            [sys.executable, "-c", "import server.domains"],
        ),  # refuses numbers and names used twice
    ]
    promises = [f"tests/architecture/test_{name}.py" for name in ("docs", "route_coverage", "promises")]
    checks.append(("promises", [tool("pytest"), "-q", "-p", "no:cacheprovider", *promises]))
    if shutil.which("shellcheck"):
        checks.append(("shell", ["shellcheck", "mnbara", ".ci/run"]))
    return checks


CHECK = Verb(
    name="check",
    meaning="format, lint, types, import rules, spelling, error catalogue, what docs and domains promise",
    example="./mnbara check",
    run=_check,
    needs_dev=True,
)
