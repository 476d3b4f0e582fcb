"""`./mnbara up` as a whole: it serves, restarts what dies, stops everything, keeps data, refuses a second one."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import asyncpg
import pytest

from server.local.engines import LocalEngines
from server.local.programs import free_port
from tests.support.system import ROOT, running_system, start_system


def status_of(url):
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
        return answer.status


def is_ready(system):
    try:
        return status_of(system.base_url + "/health/ready") == 200
    except OSError:
        return False


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def await_end(pids, seconds=20):
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "all processes end"
        time.sleep(0.05)


def verb(home, *words, **settings):
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *words],
        cwd=ROOT,
        env={**os.environ, "MNBARA_HOME": str(home), **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_up_serves_refuses_a_second_restarts_the_killed_and_down_leaves_nothing_running(home):
    with running_system(home, processes=2) as system:
        assert status_of(system.base_url + "/health/ready") == 200
        assert set(system.pids()) == {"postgres", "redis", "nats", "worker", "server-0", "server-1"}
        told = verb(home, "up", MNBARA_PORT=str(free_port()))
        assert told.returncode == 1
        assert str(system.supervisor.pid) in told.stderr
        assert system.base_url in told.stderr
        told = verb(home, "reset", "--yes")
        assert told.returncode == 1
        assert status_of(system.base_url + "/health/ready") == 200
        for name in ("server-0", "worker", "redis", "nats", "postgres"):
            system.kill(name)
        deadline = time.monotonic() + 30
        while not (len(system.pids()) == 6 and is_ready(system)):  # engines at the same addresses
            assert time.monotonic() < deadline, system.logs()
            time.sleep(0.1)
        pids = list(system.pids().values())
        told = verb(home, "down")
        assert (told.returncode, told.stdout.strip()) == (0, "stopped")
        assert system.supervisor.wait(5) == 0
        await_end(pids, seconds=0.5)
    assert not (home / "up.json").exists()


@pytest.mark.slow
async def test_after_kill_of_the_supervisor_all_end_and_the_next_up_has_the_data(home):
    system = start_system(home, processes=2)
    database = LocalEngines(home).postgres_url("mnbara")
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE kept AS SELECT 41 AS n")
    await connection.close()
    pids = list(system.pids().values())
    system.supervisor.send_signal(signal.SIGKILL)
    system.supervisor.wait()
    again = start_system(home, port=system.port)  # at once: it waits for the old engines itself
    try:
        await_end(pids)
        connection = await asyncpg.connect(database)
        assert await connection.fetchval("SELECT n FROM kept") == 41
        await connection.close()
    finally:
        assert again.stop() == 0


@pytest.mark.slow
def test_port_in_use_is_refused_with_what_to_set_and_starts_nothing(home):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = verb(home, "up", MNBARA_PORT=str(taken.getsockname()[1]))
    assert told.returncode == 1
    assert "MNBARA_PORT" in told.stderr
    assert not (home / "engines").exists()


@pytest.mark.slow
def test_two_systems_run_beside_each_other_on_given_and_private_engines(home, engines, database, redis_url):
    given = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
    }
    with running_system(home / "one", environment=given) as first, running_system(home / "two") as second:
        assert set(first.pids()) == {"worker", "server-0"}
        assert "postgres" in second.pids()
        for system in (first, second):
            assert status_of(system.base_url + "/health/ready") == 200


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGHUP))],
)
def test_every_stop_signal_stops_in_order(number, home, engines, database, redis_url):
    given = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
    }
    system = start_system(home, environment=given)
    pids = list(system.pids().values())
    system.supervisor.send_signal(number)
    assert system.supervisor.wait(30) == 0
    await_end(pids, seconds=0.5)
