"""The demo, locust and the bid benchmark on a running system with its default settings."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from load.benchmarks import bids, sign_in
from load.benchmarks.programs import BenchmarkError
from load.benchmarks.programs import System as MeasuredSystem
from tests.support.system import running_system, scratch_home

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def system():
    with scratch_home() as home, running_system(home, processes=2) as running:
        yield running


def demo_command(system, *words):
    return [sys.executable, "-m", "load.demo", "--url", system.base_url, *words]


@pytest.mark.slow
def test_demo_ends_without_an_error_and_its_bids_are_in_the_auctions(system):
    told = subprocess.run(
        demo_command(system, "--users", "20", "--seconds", "7"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr + system.logs()
    assert "no errors" in told.stdout
    placed = int(re.search(r"placed ([\d,]+) durable bids", told.stdout)[1].replace(",", ""))
    assert placed > 20
    assert re.search(r"beside it +\w+ [1-9]", told.stdout), told.stdout
    auctions = httpx.get(f"{system.base_url}/v1/auctions?limit=100", trust_env=False).json()["items"]
    assert sum(auction["bid_count"] for auction in auctions) >= placed
    assert " 5 s  20 users" in told.stdout, "a plain line every five seconds where there is no terminal"


@pytest.mark.slow
def test_demo_that_is_interrupted_still_checks_and_tells_what_happened(system):
    running = subprocess.Popen(
        demo_command(system, "--users", "6", "--seconds", "60"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = iter(running.stdout.readline, "")
    assert any(line.lstrip().startswith("5 s") for line in lines)
    running.send_signal(signal.SIGINT)
    out, errors = running.communicate(timeout=30)
    assert running.returncode == 0, out + errors
    assert "no errors" in out


def test_demo_without_a_server_says_what_to_do():
    told = subprocess.run(
        [sys.executable, "-m", "load.demo", "--url", "http://127.0.0.1:9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert told.returncode == 1
    assert "no server answers at http://127.0.0.1:9" in told.stderr
    assert "./mnbara up" in told.stderr
    assert "Traceback" not in told.stderr


TOKEN_S = 5
LOAD_SETTINGS = {
    "MNBARA_RATE_LIMITS": "off",
    "MNBARA_ACCESS_TOKEN_S": str(TOKEN_S),
    "MNBARA_ACCESS_LOG": "on",
}


@pytest.fixture(scope="module")
def unlimited():
    with (
        scratch_home() as home,
        running_system(home, processes=1, environment=LOAD_SETTINGS) as running,
    ):
        yield running


REQUESTS = (
    *("auctions.place_bid", "bid_placed", "/v1/auctions/{id}", "subscribe auctions"),
    *("auctions.place_bid sealed", "auctions.watch_auction", "/v1/auctions/{id}/buy-now"),
    *("/v1/auctions/{id}/bids dutch", "/v1/reservations/{id}/release", "/v1/saved-searches"),
)
"""What locust's users do, each at least once."""


def missing_requests(table: Path) -> list[str]:
    """Return what nobody has done yet, by locust's own table, which it writes every second."""
    done = (
        {line.split(",")[1].strip('"') for line in table.read_text().splitlines()}
        if table.exists()
        else set()
    )
    return [name for name in REQUESTS if name not in done]


LOCUST_DOES = (
    *("/v1/auth/login", "/v1/auth/refresh", "WS +refresh"),
    *("auctions.place_bid", "bid_placed", "/v1/auctions/{id}", "subscribe auctions"),
    *("auctions.place_bid sealed", "auctions.watch_auction", "/v1/auctions/{id}/buy-now"),
    *("/v1/auctions/{id}/bids dutch", "/v1/reservations/{id}/release", "/v1/saved-searches"),
)


def escaped(name: str) -> str:
    return re.escape(name).replace(r"\ \+", " +")


def locust(system, accounts: Path, seconds: int) -> str:
    """Run thirteen locust users without a failure; return the table of what they did."""
    told = subprocess.run(
        [
            str(Path(sys.executable).parent / "locust"),
            *("-f", "load/locustfile.py", "--headless", "-u", "13", "-r", "13", "-t", f"{seconds}s"),
            *("--host", system.base_url, "--only-summary", "--accounts", str(accounts)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90 + seconds,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    return told.stdout + told.stderr


def assert_logged(system) -> None:
    """The access log has commands over sockets and the ends of connections, and whose they were."""
    lines = [json.loads(line) for line in (system.home / "logs" / "server-0.log").read_text().splitlines()]
    bids = [line for line in lines if (line["event"], line.get("method")) == ("rpc", "auctions.place_bid")]
    assert any(line["code"] == "ok" and line["user_id"] and line["ms"] > 0 for line in bids)
    ends = [line for line in lines if line["event"] == "connection_ended"]
    assert any(line["transport"] == "websocket" and line["user_id"] and line["ms"] > 0 for line in ends)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_locust_users_bid_watch_and_browse_beyond_the_life_of_a_token_without_a_failure(unlimited, tmp_path):
    accounts = tmp_path / "accounts.json"
    made = subprocess.run(
        [sys.executable, "-m", "server.cli", "load-accounts", "13", "--out", str(accounts)],
        cwd=ROOT,
        env=os.environ | {"MNBARA_HOME": str(unlimited.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert "13 of 13 accounts" in made.stderr
    for seconds in (3 * TOKEN_S, 30, 90):  # a slow machine takes longer until each has done what they do
        table = locust(unlimited, accounts, seconds)
        assert not re.search(r"POST +/v1/auth/register", table)
        missing = [name for name in LOCUST_DOES if not re.search(rf"{escaped(name)} +[1-9]\d* ", table)]
        if not missing:
            assert_logged(unlimited)
            return
    raise AssertionError(f"{missing}\n{table[-6000:]}")


@pytest.mark.slow
async def test_bid_benchmark_counts_what_the_auctions_count(unlimited, monkeypatch):
    monkeypatch.setattr(bids, "BIDDERS", 16)
    monkeypatch.setattr(bids, "ACCOUNTS", 5)
    monkeypatch.setattr(bids, "WARM_UP_S", 0.2)
    monkeypatch.setattr(bids, "SECONDS", 1.0)
    monkeypatch.setattr(bids, "BASELINE_SECONDS", 1.0)
    monkeypatch.setattr(bids, "MANY", 3)
    figures = await bids.measure(MeasuredSystem(unlimited.home, unlimited.base_url))
    assert [figure.unit for figure in figures] == ["bids/s", "bids/s", "bids/s", "ms"] * 2
    assert all(figure.value > 0 and figure.baseline > 0 for figure in figures)


@pytest.mark.slow
async def test_bid_benchmark_fails_when_an_acknowledged_bid_is_missing(unlimited, monkeypatch):
    monkeypatch.setattr(bids, "BIDDERS", 4)
    monkeypatch.setattr(bids, "ACCOUNTS", 5)
    monkeypatch.setattr(bids, "WARM_UP_S", 0.1)
    monkeypatch.setattr(bids, "SECONDS", 0.3)
    honest = bids.read_receipt

    def forget_one(data):
        receipt = honest(data)
        receipt.offset += receipt.offset == 3  # as if the third event had been acknowledged as the fourth
        return receipt

    monkeypatch.setattr(bids, "read_receipt", forget_one)
    with pytest.raises(BenchmarkError, match="gaps or repeats"):
        await bids._measure_system(MeasuredSystem(unlimited.home, unlimited.base_url), 1)
    await asyncio.sleep(0)


@pytest.mark.slow
async def test_sign_in_benchmark_tells_of_people_and_of_bids_beside_them(unlimited, monkeypatch):
    for name, value in {"ACCOUNTS": 5, "BIDDERS": 8, "BID_RATE": 40, "SECONDS": 1.0}.items():
        monkeypatch.setattr(sign_in, name, value)
    figures = await sign_in.measure(MeasuredSystem(unlimited.home, unlimited.base_url))
    assert [figure.what.split(",")[0] for figure in figures] == [
        "p95 to register",
        "p95 to login",
        "p95 from bid to durable answer beside them",
    ]
    assert all(figure.value > 0 for figure in figures)
