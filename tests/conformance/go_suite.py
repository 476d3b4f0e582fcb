"""The suite of `centrifuge-go`: a Go module carries its tests, the go command fetches and checks it."""

import json
import os
from pathlib import Path

from tests.conformance.suite import CACHE, NoSuiteError, Outcome, fetch, run

VERSION = "0.12.1"
TITLE = f"centrifuge-go {VERSION}, JSON and Protobuf"
SERVER_FLAGS = ("--insecure", "--no-presence")
"""It expects a server that asks for no token and has presence off."""
_MODULE = f"github.com/centrifugal/centrifuge-go@v{VERSION}"
_SUM = "h1:nvk5y6/TYGqa2ysQ0+qkcS5DTVC0jTITkDVk2wKXTqc="


def _environment() -> dict[str, str]:
    """The go command's own caches, deletable by whoever owns the checkout; no toolchain is fetched."""
    return {
        "GOMODCACHE": str(CACHE / "go" / "mod"),
        "GOCACHE": str(CACHE / "go" / "build"),
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw -buildvcs=false".strip(),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def prepare() -> Path:
    """Return the folder of the module, with what its tests need compiled."""
    told = json.loads(fetch(["go", "mod", "download", "-json", _MODULE], CACHE, _environment()))
    if told.get("Sum") != _SUM:
        raise NoSuiteError(f"the module's checksum is {told.get('Sum')}, not the pinned one")
    folder = Path(told["Dir"])
    fetch(["go", "test", "-run", "^$", "./..."], folder, _environment())
    return folder


def play(folder: Path) -> Outcome:
    """Run the suite as its makers do."""
    log = CACHE / "go.log"
    code = run(["go", "test", "-count=1", "-json", "./..."], log, cwd=folder, **_environment())
    return read(log.read_text(), code, log)


def read(text: str, code: int, log: Path) -> Outcome:
    """Return what `go test -json` says; a subtest is a test."""
    ended: dict[str, list[str]] = {"pass": [], "fail": [], "skip": []}
    for line in text.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if "Test" in event and event["Action"] in ended:
            ended[event["Action"]].append(event["Test"])
    ran = sum(map(len, ended.values()))
    return Outcome(ran, ended["fail"], [f"{name}: by the suite" for name in ended["skip"]], log, code == 0)
