"""`./mnbara conformance`: the official SDKs' suites, whole, against the conformance server.

Sources come from the registries of the machine, pinned, into `.local/conformance`. Exit code 1 means that a suite
failed, 3 that none failed but one could not be had (its toolchain or its registry is not here), 0 that all passed; a
suite that no registry has counts only when somebody names a checkout of it.
"""

import argparse
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.conformance import (
    go_suite,
    java_suite,
    javascript_makers_suite,
    javascript_suite,
    python_suite,
)
from tests.conformance.suite import CACHE, ROOT, NoSuiteError, Outcome, UnpublishedSuiteError

PORT = 8000
"""The suites dial it; it cannot be another one."""
PORT_WAIT_S = 20.0
"""How long another run on this machine may keep the port."""


@dataclass(frozen=True)
class Suite:
    """A suite of one SDK."""

    name: str
    title: str
    server_flags: Sequence[str] | None
    """Of the conformance server it needs; None: it starts its own."""
    prepare: Callable[[], Path]
    """Fetch and compile. Raises NoSuiteError."""
    play: Callable[[Path], Outcome]
    not_applying: Sequence[str] = ()
    """Tests that are not run, each kind with the reason."""


def suites(java_checkout: Path | None, js_checkout: Path | None) -> list[Suite]:
    """Return every suite in the order in which they run."""
    python, go, java, js, makers = (
        python_suite,
        go_suite,
        java_suite,
        javascript_suite,
        javascript_makers_suite,
    )
    prepare_java = partial(java.prepare, java_checkout)
    prepare_makers = partial(makers.prepare, js_checkout)
    return [
        Suite("python", python.TITLE, python.SERVER_FLAGS, python.prepare, python.play),
        Suite("javascript", js.TITLE, js.SERVER_FLAGS, js.prepare, js.play),
        Suite(
            "javascript-makers",
            makers.TITLE,
            makers.SERVER_FLAGS,
            prepare_makers,
            makers.play,
            makers.NOT_APPLYING,
        ),
        Suite("go", go.TITLE, go.SERVER_FLAGS, go.prepare, go.play),
        Suite("java", java.TITLE, java.SERVER_FLAGS, prepare_java, java.play),
    ]


@contextlib.contextmanager
def serving(flags: Sequence[str] | None) -> Iterator[subprocess.Popen | None]:
    """Run the conformance server with these flags; it takes connections. Raises NoSuiteError."""
    if flags is None:
        yield None
        return
    give_up_at_s = time.monotonic() + PORT_WAIT_S
    while _answers():
        if time.monotonic() >= give_up_at_s:
            raise NoSuiteError(f"port {PORT} is taken, and the suite knows no other")
        time.sleep(0.05)
    command = [sys.executable, "-m", "tests.conformance.server", "--port", str(PORT), *flags]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _wait_for(server)
        yield server
        if server.poll() is not None:  # whom the suite talked to is unknown
            raise NoSuiteError("the conformance server ended before the suite")
    finally:
        server.terminate()
        server.wait(10)


def _answers() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


def _wait_for(server: subprocess.Popen) -> None:
    give_up_at_s = time.monotonic() + 60
    while time.monotonic() < give_up_at_s and server.poll() is None:
        if _answers():
            return
        time.sleep(0.05)
    raise NoSuiteError("the conformance server did not start")


def show(suite: Suite, outcome: Outcome) -> None:
    """Print the counts of a suite, and what failed or was left out."""
    for name in outcome.failed:
        print(f"  failed: {name}")
    for reason in outcome.skipped:
        print(f"  skipped: {reason}")
    for reason in suite.not_applying:
        print(f"  does not apply: {reason}")
    if not outcome.ended_well and not outcome.failed:
        print("  the runner itself ended with an error")
    counts = f"{outcome.ran} run, {outcome.passed} passed, {len(outcome.failed)} failed"
    log = outcome.log.relative_to(ROOT) if outcome.log.is_relative_to(ROOT) else outcome.log
    print(f"{suite.title}: {counts}, {len(outcome.skipped)} skipped; log: {log}", flush=True)


def play_all(chosen: Sequence[Suite]) -> int:
    """Run suites one after another, print their counts, return the exit code."""
    failed = lacking = False
    for suite in chosen:
        try:
            folder = suite.prepare()
            with serving(suite.server_flags):
                outcome = suite.play(folder)
        except NoSuiteError as error:
            print(f"{suite.title}: not run: {error}", flush=True)
            lacking = lacking or not isinstance(error, UnpublishedSuiteError)
            continue
        show(suite, outcome)
        failed = failed or not outcome.good
    return 1 if failed else 3 if lacking else 0


def main(arguments: Sequence[str]) -> int:
    """Run the suites that are asked for."""
    parser = argparse.ArgumentParser(
        prog="./mnbara conformance",
        description="Run the official SDKs' suites; exit code 1: one failed, 3: one could not be had.",
        epilog="example: ./mnbara conformance python go",
    )
    names = [suite.name for suite in suites(None, None)]
    parser.add_argument("suite", nargs="*", help=f"only these: {', '.join(names)}")
    parser.add_argument(
        "--java", type=Path, metavar="FOLDER", help="a checkout of centrifuge-java, for its tests"
    )
    parser.add_argument(
        "--js", type=Path, metavar="FOLDER", help="a checkout of centrifuge-js, for its tests"
    )
    wanted = parser.parse_args(arguments)
    if unknown := set(wanted.suite) - set(names):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    CACHE.mkdir(parents=True, exist_ok=True)
    java_checkout = wanted.java.resolve() if wanted.java else None
    js_checkout = wanted.js.resolve() if wanted.js else None
    known = suites(java_checkout, js_checkout)
    return play_all([one for one in known if one.name in (wanted.suite or names)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
