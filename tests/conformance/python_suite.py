"""The suite of `centrifuge-python`: its source distribution carries it, pip fetches that."""

import hashlib
import re
import sys
import tarfile
from pathlib import Path

from tests.conformance.suite import CACHE, NoSuiteError, Outcome, fetch, run

VERSION = "0.7.0"
TITLE = f"centrifuge-python {VERSION}, JSON and Protobuf"
SERVER_FLAGS = ()
_NAME = f"centrifuge_python-{VERSION}"
_SHA256 = "11252b45c3f6b6104cfb07fb0fcfc9d2d62832d2af14715dd16fdc5e9c6e5964"


def prepare() -> Path:
    """Return the folder of the unpacked source distribution; download it when it is not there."""
    archive = CACHE / f"{_NAME}.tar.gz"
    if not archive.is_file():
        words = ["download", "--quiet", "--no-binary", ":all:", "--no-deps", f"centrifuge-python=={VERSION}"]
        fetch([sys.executable, "-m", "pip", "--disable-pip-version-check", *words], CACHE)
    if not archive.is_file() or hashlib.sha256(archive.read_bytes()).hexdigest() != _SHA256:
        archive.unlink(missing_ok=True)
        raise NoSuiteError("what pip fetched is not the pinned source distribution")
    folder = CACHE / _NAME
    if not (folder / "tests").is_dir():
        with tarfile.open(archive) as opened:
            # plain files below the one folder only: Debian 12's Python has no extraction filters yet
            safe = [m for m in opened if m.isfile() and m.name.startswith(f"{_NAME}/") and ".." not in m.name]
            opened.extractall(CACHE, members=safe)  # noqa: S202 - the list above is the check
    return folder


def play(folder: Path) -> Outcome:
    """Run the suite as its makers do."""
    log = CACHE / "python.log"
    words = [sys.executable, "-m", "unittest", "discover", "-v", "-s", "tests", "-t", "."]
    code = run(
        words, log, cwd=folder, PYTHONPATH=str(folder)
    )  # the SDK of that release, not an installed one
    return read(log.read_text(), code, log)


def read(text: str, code: int, log: Path) -> Outcome:
    """Return what unittest's verbose output says."""
    ran = int(found[1]) if (found := re.search(r"^Ran (\d+) tests? in", text, re.MULTILINE)) else 0
    failed = dict.fromkeys(re.findall(r"^(?:FAIL|ERROR): (\w+ \([\w.]+\))", text, re.MULTILINE))
    skipped = re.findall(r"skipped ['\"](.*)['\"]$", text, re.MULTILINE)
    return Outcome(ran, list(failed), skipped, log, code == 0)
