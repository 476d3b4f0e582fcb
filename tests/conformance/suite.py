"""What every suite of `./mnbara conformance` has in common: a folder, a program run to its log, and counts."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".local" / "conformance"
TIMEOUT_S = 600


class NoSuiteError(Exception):
    """A suite cannot be had here; the message says why in one line."""


class UnpublishedSuiteError(NoSuiteError):
    """The package of an SDK comes without its tests: nothing on this machine could change that."""


@dataclass(frozen=True)
class Outcome:
    """What a suite's own runner found; a test is counted once, whatever it reports."""

    ran: int
    failed: Sequence[str]
    skipped: Sequence[str]
    """The suite's own reasons."""
    log: Path
    ended_well: bool = True
    """False when the runner itself ended with an error, whatever its tests say."""

    @property
    def passed(self) -> int:
        return self.ran - len(self.failed) - len(self.skipped)

    @property
    def good(self) -> bool:
        """A suite that ran nothing, or broke off, proves nothing."""
        return self.ended_well and self.passed > 0 and not self.failed


def run(words: Sequence[str], log: Path, *, cwd: Path, **environment: str) -> int:
    """Run a program with its output in a file, without the machine's proxies; return its exit code.

    Raises: NoSuiteError when it does not end.
    """
    variables = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    with log.open("wb") as out:
        try:
            return subprocess.run(
                words,
                check=False,
                cwd=cwd,
                env={**variables, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
            ).returncode
        except subprocess.TimeoutExpired:
            raise NoSuiteError(f"{words[0]} did not end in {TIMEOUT_S} s; log: {log}") from None


def fetch(words: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a package client with the machine's own settings; return what it printed.

    Raises: NoSuiteError with the last line of its complaint.
    """
    try:
        done = subprocess.run(
            words,
            check=False,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except FileNotFoundError:
        raise NoSuiteError(f"{words[0]} is not here") from None
    except subprocess.TimeoutExpired:
        raise NoSuiteError(f"{words[0]} did not end in {TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if any(map(str.isalpha, line))]
        raise NoSuiteError(
            f"{words[0]} could not fetch it: {lines[-1].strip()[:300] if lines else 'no word'}"
        )
    return done.stdout
