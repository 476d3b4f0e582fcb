"""The tests of `centrifuge-js` itself: its npm package comes without them, so they run from a checkout that is named.

The SDK under test is npm's package of the locked version; its makers' runner, jest, is npm's too. The tests stay as
they are: beside them lie modules of the names they import, which pass on npm's.
"""

import json
import re
import shutil
from pathlib import Path

from tests.conformance.javascript_suite import FOLDER, VERSION
from tests.conformance.suite import CACHE, NoSuiteError, Outcome, UnpublishedSuiteError, fetch, run

TITLE = f"centrifuge {VERSION} of npm, its makers' tests, JSON and Protobuf, sockets and streams"
SERVER_FLAGS = ("--insecure",)
"""They expect a server that asks for no token and has presence on."""
NOT_APPLYING = (
    "map.test.ts, map.protobuf.test.ts and tests named 'map ...': the product offers no map subscriptions",
    "shared_poll*.test.ts: the product offers no polled channels",
    "tests named 'state invalidated ...': they need no server, and the SDK's private fields differ by version",
    "other files of tests: not tried; those of compaction use a fake server of its makers",
)
FILES = (
    "centrifuge.test.ts",
    "centrifuge.protobuf.test.ts",
    "getstate.test.ts",
    "recovery.test.ts",
    "delta.test.ts",
)
"""Of the folder `src` of a checkout; those that are there run."""
NAMES = "^(?!map[ :]|state invalidated)"
"""Of the tests that apply, for jest."""
PACKAGES = {
    "centrifuge": VERSION,
    "esbuild": "0.28.2",
    "eventsource": "2.0.2",
    "jest": "29.7.0",
    "undici": "6.29.1",
    "ws": "8.23.0",
}
_WORK = CACHE / "javascript_makers"
_JEST = {
    "rootDir": ".",
    "testMatch": ["<rootDir>/src/*.test.ts"],
    "transform": {r"\.ts$": "<rootDir>/transform.cjs"},
}
_MODULES = {
    "centrifuge": "centrifuge",
    "types": "centrifuge",
    "codes": "centrifuge",
    "protobuf": "centrifuge/build/protobuf",
}
"""What the tests import from the folder `src`, and which of npm's modules that is."""
_TRANSFORM = """\
const { transformSync } = require('esbuild');
module.exports = {
  process: (text) => transformSync(text, { loader: 'ts', format: 'cjs', target: 'node18', sourcemap: 'inline' }),
};
"""


def prepare(checkout: Path | None) -> Path:
    """Copy the tests of a checkout beside npm's packages; return the folder."""
    if checkout is None:
        raise UnpublishedSuiteError("npm's package comes without its tests; name a checkout with --js")
    sources = [checkout / "src" / name for name in FILES if (checkout / "src" / name).is_file()]
    if not sources:
        raise NoSuiteError(f"{checkout} has none of src/{', src/'.join(FILES)}")
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NoSuiteError("node or npm is not here")
    _install()
    shutil.rmtree(_WORK / "src", ignore_errors=True)
    (_WORK / "src").mkdir()
    for source in sources:
        shutil.copy(source, _WORK / "src")
    for name, module in _MODULES.items():
        (_WORK / "src" / f"{name}.js").write_text(f"module.exports = require('{module}');\n")
    return _WORK


def _install() -> None:
    """Install the packages, unless they are there. Raises NoSuiteError when the SDK is not the locked one."""
    _WORK.mkdir(exist_ok=True)
    wanted = json.dumps({"private": True, "dependencies": PACKAGES, "jest": _JEST})
    package = _WORK / "package.json"
    if not package.is_file() or package.read_text() != wanted:
        shutil.rmtree(_WORK / "node_modules", ignore_errors=True)
        (_WORK / "transform.cjs").write_text(_TRANSFORM)
        package.write_text(wanted)
    if not (_WORK / "node_modules" / ".package-lock.json").is_file():
        fetch(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"], _WORK)
    if _sdk_hash(_WORK / "node_modules" / ".package-lock.json") != _sdk_hash(FOLDER / "package-lock.json"):
        raise NoSuiteError("what npm installed is not the locked SDK")


def _sdk_hash(lock: Path) -> str:
    return str(json.loads(lock.read_text())["packages"]["node_modules/centrifuge"]["integrity"])


def play(folder: Path) -> Outcome:
    """Run the tests one after another with jest."""
    log, report = CACHE / "javascript_makers.log", CACHE / "javascript_makers.json"
    report.unlink(missing_ok=True)
    jest = ["node", str(folder / "node_modules" / "jest" / "bin" / "jest.js"), "--runInBand", "--forceExit"]
    code = run([*jest, f"--testNamePattern={NAMES}", "--json", f"--outputFile={report}"], log, cwd=folder)
    return read(report.read_text() if report.is_file() else "{}", code, log)


def read(text: str, code: int, log: Path) -> Outcome:
    """Return what jest's report says of the tests that apply."""
    files = json.loads(text).get("testResults", []) if text else []
    tests = [test for file in files for test in file["assertionResults"] if re.match(NAMES, test["fullName"])]
    failed = [test["fullName"] for test in tests if test["status"] == "failed"]
    skipped = [f"{t['fullName']}: by the suite" for t in tests if t["status"] not in {"passed", "failed"}]
    return Outcome(len(tests), failed, skipped, log, code == 0)
