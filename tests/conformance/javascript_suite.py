"""`centrifuge` of npm: its package comes without its makers' tests; this repository's scripts use it unmodified."""

import json
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.conformance.suite import CACHE, ROOT, NoSuiteError, Outcome, fetch, run

FOLDER = ROOT / "tests" / "js"
VERSION = json.loads((FOLDER / "package-lock.json").read_text())["packages"]["node_modules/centrifuge"][
    "version"
]
TITLE = f"centrifuge {VERSION} of npm in this repository's scripts, JSON and Protobuf, sockets and streams"
SERVER_FLAGS = None
"""Its tests start the server they need."""


def prepare() -> Path:
    """Return the folder of the npm packages; install what the lock pins, checked by its hashes."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NoSuiteError("node or npm is not here")
    installed = FOLDER / "node_modules" / "centrifuge" / "package.json"
    if not installed.is_file() or json.loads(installed.read_text())["version"] != VERSION:
        fetch(["npm", "ci", "--no-audit", "--no-fund", "--silent"], FOLDER)
    return FOLDER


def play(_folder: Path) -> Outcome:
    """Run the scripts, each in every format on every transport."""
    log, report = CACHE / "javascript.log", CACHE / "javascript.xml"
    report.unlink(missing_ok=True)
    path = "tests/conformance/test_javascript_sdk.py"
    words = [sys.executable, "-m", "pytest", path, "-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    code = run(words, log, cwd=ROOT)
    return read(report.read_text() if report.is_file() else "<testsuites/>", code, log)


def read(text: str, code: int, log: Path) -> Outcome:
    """Return what a JUnit report says."""
    cases = list(ET.fromstring(text).iter("testcase"))  # noqa: S314 - our own runner wrote it
    bad = [c.get("name", "") for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = [str(c.find("skipped").get("message")) for c in cases if c.find("skipped") is not None]
    return Outcome(len(cases), bad, skipped, log, code == 0)
