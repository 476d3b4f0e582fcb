"""Processes of a running system are stopped as by SIGSTOP: they live, answer nothing, and are replaced."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import pytest

from server.local.programs import free_port
from tests.support.players import open_auction, sign_up
from tests.support.system import ROOT, System, running_system, scratch_home


@pytest.fixture(scope="module")
def given(engines, database, redis_url) -> dict[str, str]:
    return {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
    }


@pytest.fixture(scope="module")
def system(given) -> Iterator[System]:
    with scratch_home() as home, running_system(home, processes=2, environment=given) as running:
        yield running


class Caller(threading.Thread):
    """Calls again and again, each time over a new connection, and keeps what did not come to an answer."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port, self.answered, self.failures = port, 0, []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.call()
                self.answered += 1
            except (OSError, HTTPException) as error:
                self.failures.append(error)

    def call(self) -> None:
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", "/health/live", headers={"Connection": "close"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise HTTPException(f"{answer.status} {answer.read()!r}")
            answer.read()


def await_state(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in time"
        time.sleep(0.02)


def said(system: System, text: str) -> int:
    return (system.home / "logs" / "up.log").read_text().count(text)


def starts(system: System, name: str) -> int:
    """Return how often a process has come up; from then on its beats are expected."""
    log = (system.home / "logs" / f"{name}.log").read_text()
    return log.count('"serving"') + log.count('"working"')


def test_a_stopped_server_process_is_replaced_and_the_port_is_open_all_the_while(system):
    await_state(lambda: starts(system, "server-0") == 1)
    callers = [Caller(system.port) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        system.kill("server-0", signal.SIGSTOP, await_restart_s=60)
        await_state(lambda: starts(system, "server-0") == 2)
        failures = sum(len(caller.failures) for caller in callers)
        for caller in callers:
            until = caller.answered + 20
            await_state(lambda: caller.answered >= until)  # noqa: B023 - called before the next turn
    finally:
        for caller in callers:
            caller.over.set()
            caller.join()
    errors = [error for caller in callers for error in caller.failures]
    assert len(errors) == failures <= 2 * len(callers), errors  # who waited for the stopped one
    assert not any(isinstance(error, ConnectionRefusedError | TimeoutError) for error in errors), errors
    assert said(system, "server-0 has not answered for 3.0 s: killed; starts again in") == 1


@pytest.mark.slow
async def test_a_stopped_worker_is_replaced_and_timers_go_on(system):
    await_state(lambda: starts(system, "worker") == 1)
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as http:
        seller = await sign_up(http, "seller")
        ends_at = datetime.now(UTC) + timedelta(seconds=3)
        auction = await open_auction(seller, ends_at=ends_at.isoformat())
        await asyncio.to_thread(system.kill, "worker", signal.SIGSTOP, await_restart_s=60)
        async with asyncio.timeout(60):
            while (await http.get(f"/v1/auctions/{auction['id']}")).json()["status"] == "live":
                await asyncio.sleep(0.05)
    assert said(system, "worker has not answered for 3.0 s: killed; starts again in") == 1


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    return False


def run_as_container(folder: Path, given: dict[str, str], port: int) -> subprocess.Popen[str]:
    """Start what the image starts."""
    command = json.loads(re.findall(r"^CMD (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1])
    assert command[0] == "python"
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("MNBARA_")}
    environment = inherited | given | {"MNBARA_HOME": str(folder), "MNBARA_PORT": str(port)}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *command[1:]], cwd=ROOT, env=environment, stdout=log, stderr=log
        )


@pytest.mark.slow
def test_in_a_container_a_stopped_process_is_replaced_without_the_container(given, home):
    port = free_port()
    container = run_as_container(home, given, port)
    try:
        await_state(lambda: is_ready(f"http://127.0.0.1:{port}"))
        (before,) = children_of(container.pid)
        os.kill(before, signal.SIGSTOP)
        await_state(lambda: children_of(container.pid) not in ([before], []))
        await_state(lambda: is_ready(f"http://127.0.0.1:{port}"))
        assert "mnbara: serve has not answered for 3.0 s: killed" in (home / "log").read_text()
    finally:
        container.terminate()
        assert container.wait(60) == 0


@pytest.mark.slow
def test_in_a_container_a_process_that_cannot_start_ends_it_with_its_exit_code(given, home):
    container = run_as_container(home, given | {"MNBARA_LOG_LEVEL": "loud"}, free_port())
    assert container.wait(60) == 2
    log = (home / "log").read_text()
    assert "MNBARA_LOG_LEVEL" in log
    assert "given up" in log
