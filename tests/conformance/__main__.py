"""`./mnbara conformance`: the official Python SDK's own suite, whole, against the conformance server.

The suite comes with the SDK's source distribution, fetched by pip into `.local/conformance`. Exit code 0 means that
every test passed, 3 that the suite could not be had.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".local" / "conformance"
VERSION = "0.7.0"
NAME = f"centrifuge_python-{VERSION}"
PORT = 8000
"""The suite dials it; it cannot be another one."""
TIMEOUT_S = 600


class NoSuiteError(Exception):
    pass


def fetch_suite() -> Path:
    """Return the folder of the unpacked source distribution; download it when it is not there."""
    folder = CACHE / NAME
    if (folder / "tests").is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / f"{NAME}.tar.gz"
    if not archive.is_file():
        words = ["download", "--quiet", "--no-binary", ":all:", "--no-deps", f"centrifuge-python=={VERSION}"]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
        done = subprocess.run(pip, check=False, cwd=CACHE, capture_output=True, text=True)
        if done.returncode != 0 or not archive.is_file():
            raise NoSuiteError(done.stderr.strip()[-500:])
    with tarfile.open(archive) as opened:
        # plain files below the one folder only: Debian 12's Python has no extraction filters yet
        safe = [m for m in opened if m.isfile() and m.name.startswith(f"{NAME}/") and ".." not in m.name]
        opened.extractall(CACHE, members=safe)  # noqa: S202 - the list above is the check
    return folder


def start_server() -> subprocess.Popen:
    """Start the conformance server and wait until it takes connections."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            raise NoSuiteError(f"port {PORT} is taken, and the suite knows no other")
    command = [sys.executable, "-m", "tests.conformance.server", "--port", str(PORT)]
    server = subprocess.Popen(command, cwd=ROOT)
    give_up_at_s = time.monotonic() + 20
    while time.monotonic() < give_up_at_s and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return server
        time.sleep(0.05)
    server.terminate()
    raise NoSuiteError("the conformance server did not start")


def run_suite(folder: Path) -> int:
    """Run the suite as its makers do and print its verdict; return the exit code."""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    environment["PYTHONPATH"] = str(folder)  # the SDK of the same release, not another installed one
    command = [sys.executable, "-m", "unittest", "discover", "-v", "-s", "tests", "-t", "."]
    log = CACHE / "suite.log"
    with log.open("w") as out:
        done = subprocess.run(
            command, check=False, cwd=folder, env=environment, stdout=out, stderr=out, timeout=TIMEOUT_S
        )
    text = log.read_text()
    total = int(found[1]) if (found := re.search(r"^Ran (\d+) tests? in", text, re.MULTILINE)) else 0
    failed = dict.fromkeys(re.findall(r"^(?:FAIL|ERROR): (\w+ \([\w.]+\))", text, re.MULTILINE))
    skipped = re.findall(r"skipped ['\"](.*)['\"]$", text, re.MULTILINE)
    for name in failed:
        print(f"  failed: {name}")
    for reason in skipped:
        print(f"  skipped by the suite itself: {reason}")
    passed = total - len(failed) - len(skipped)
    print(f"centrifuge-python {VERSION}, JSON and Protobuf: {total} tests, {passed} passed, ", end="")
    print(f"{len(failed)} failed, {len(skipped)} skipped; log: {log.relative_to(ROOT)}")
    return 0 if done.returncode == 0 and total and not failed else 1


def main(arguments) -> int:
    parser = argparse.ArgumentParser(
        prog="./mnbara conformance",
        description="Run the official SDK's suite; exit code 3 when it cannot be had.",
        epilog="example: ./mnbara conformance",
    )
    parser.parse_args(arguments)
    try:
        folder = fetch_suite()
        server = start_server()
    except NoSuiteError as error:
        print(f"mnbara: the conformance suite cannot run: {error}", file=sys.stderr)
        return 3
    try:
        return run_suite(folder)
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
