"""The suite of `centrifuge-java`: Maven's artifacts come without it, so it runs from a checkout that somebody names.

The SDK itself, JUnit and what they need are Maven's, of the pinned version. Tests of a checkout that is ahead of it
may use what that version has not: a file that does not compile alone is left out, and its tests count as skipped.
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.suite import CACHE, NoSuiteError, Outcome, UnpublishedSuiteError, fetch, run

VERSION = "0.4.1"
TITLE = f"centrifuge-java {VERSION}, Protobuf"
SERVER_FLAGS = ("--insecure",)
"""It expects a server that asks for no token and has presence on."""
TESTS = Path("centrifuge", "src", "integrationTest", "java")
"""Where a checkout of the SDK keeps the tests that need a server."""
_SHA256 = "4f652220c79fbe095422eaca8abdf6ea2f9018de8fce7d8c95f2208ec7f1c7b8"
SDK_FAULTS = {
    "testCloseTransitionsToClosedAndStaysThere": "close() leaves state DISCONNECTED, a second one throws",
}
"""Tests that the pinned SDK fails by itself, whatever the server does, and how."""
_FOLDER = CACHE / "java"
_LEFT_OUT = _FOLDER / "left_out"
"""The tests that need a newer SDK, one a line."""
_PACKAGES = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>mnbara</groupId>
  <artifactId>conformance</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.github.centrifugal</groupId>
      <artifactId>centrifuge-java</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>junit</groupId>
      <artifactId>junit</artifactId>
      <version>4.13.2</version>
    </dependency>
  </dependencies>
</project>
"""


def prepare(checkout: Path | None) -> Path:
    """Compile the tests of a checkout against Maven's SDK; return the folder of the classes."""
    if checkout is None:
        raise UnpublishedSuiteError("Maven's artifacts come without its tests; name a checkout with --java")
    sources = sorted((checkout / TESTS).rglob("*.java"))
    if not sources:
        raise NoSuiteError(f"{checkout} has no {TESTS}/**/*.java")
    for tool in ("javac", "java", "mvn"):
        if shutil.which(tool) is None:
            raise NoSuiteError(f"{tool} is not here")
    classes = _FOLDER / "classes"
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir(parents=True)
    _LEFT_OUT.write_text("".join(f"{name}\n" for name in _compile(sources, classes, _classpath())))
    return classes


def _compile(sources: Sequence[Path], classes: Path, classpath: str) -> list[str]:
    """Compile; return the tests of the files that need a newer SDK. Raises NoSuiteError when no test is left."""
    javac = ["javac", "-proc:none", "-nowarn", "-cp", f"{classes}:{classpath}", "-d", str(classes)]
    tests = [one for one in sources if one.stem.endswith("Test")]
    shared = [str(one) for one in sources if one not in tests]
    try:
        fetch([*javac, *map(str, sources)], _FOLDER)
    except NoSuiteError:
        left_out = [test for test in tests if not _compiles([*javac, *shared, str(test)])]
        if len(left_out) == len(tests):
            raise
        return [name for test in left_out for name in test_names(test)]
    return []


def _compiles(words: Sequence[str]) -> bool:
    try:
        fetch(words, _FOLDER)
    except NoSuiteError:
        return False
    return True


def test_names(source: Path) -> list[str]:
    """Return the tests of a file, as JUnit names them."""
    found = re.findall(r"@Test\b(?:\([^)]*\))?\s+public\s+void\s+(\w+)", source.read_text())
    return [f"{name}({source.stem})" for name in found]


def _classpath() -> str:
    """Return where Maven put the packages, after the SDK's checksum is compared."""
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / "pom.xml").write_text(_PACKAGES)
    path = _FOLDER / "classpath"
    words = ["mvn", "--batch-mode", "--quiet", "dependency:build-classpath", f"-Dmdep.outputFile={path}"]
    fetch(words, _FOLDER)
    found = path.read_text().strip()
    jar = next((one for one in found.split(":") if one.endswith(f"centrifuge-java-{VERSION}.jar")), "")
    if not jar or hashlib.sha256(Path(jar).read_bytes()).hexdigest() != _SHA256:
        raise NoSuiteError("what Maven fetched is not the pinned SDK")
    return found


def play(classes: Path) -> Outcome:
    """Run every class of tests with JUnit."""
    log = CACHE / "java.log"
    names = [
        ".".join(one.relative_to(classes).with_suffix("").parts)
        for one in sorted(classes.rglob("*Test.class"))
    ]
    path = f"{classes}:{(_FOLDER / 'classpath').read_text().strip()}"
    code = run(["java", "-cp", path, "org.junit.runner.JUnitCore", *names], log, cwd=_FOLDER)
    return read(log.read_text(), code, log, _LEFT_OUT.read_text().splitlines())


def read(text: str, code: int, log: Path, left_out: Sequence[str] = ()) -> Outcome:
    """Return what JUnit's text runner says, and the tests it was not given."""
    counted = re.search(r"^(?:OK \((\d+) tests?\)|Tests run: (\d+),)", text, re.MULTILINE)
    ran = int(counted[1] or counted[2]) if counted else 0
    failures = dict.fromkeys(re.findall(r"^\d+\) (\w+\([\w.]+\))", text, re.MULTILINE))
    faults = {name: fault for name in failures if (fault := SDK_FAULTS.get(name.partition("(")[0]))}
    failed = [name for name in failures if name not in faults]
    skipped = [f"{name}: SDK {VERSION} fails it: {fault}" for name, fault in faults.items()]
    skipped += [f"{name}: needs a newer SDK than {VERSION}" for name in left_out]
    ended_well = code == 0 or (bool(faults) and not failed)
    return Outcome(ran + len(left_out), failed, skipped, log, ended_well)
