"""The README's clients work as printed: extracted, run as programs, and each sees the other's bid."""

import os
import re
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.system import ROOT, running_system, scratch_home

CODE = dict(re.findall(r"```(js|python)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))


@pytest.fixture(scope="module")
def system(engines, database, redis_url):
    given = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
    }
    with scratch_home() as home, running_system(home, environment=given) as running:
        yield running


@pytest.fixture
def auction_id(system):
    with httpx.Client(base_url=system.base_url, trust_env=False) as http:
        seller = {
            "email": f"{uuid.uuid4().hex}@example.org",
            "password": "correct horse 7",
            "display_name": "Seller",
        }
        tokens = http.post("/v1/auth/register", json=seller).raise_for_status().json()["tokens"]
        http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        listing = {"title": "A lamp", "description": "Brass", "category": "other", "condition": "used"}
        listing_id = http.post("/v1/listings", json=listing).raise_for_status().json()["id"]
        ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="milliseconds")
        auction = {
            "listing_id": listing_id,
            "format": "english",
            "currency": "EUR",
            "starting_price": 1000,
            "ends_at": ends_at.replace("+00:00", "Z"),
        }
        return http.post("/v1/auctions", json=auction).raise_for_status().json()["id"]


def run_client(folder, name, code, command, system, *words, seconds=20):
    """Run the program until it has printed what its bid came to, then a little longer; return what it printed."""
    (folder / name).write_text(code)
    with (folder / f"{name}.out").open("w") as out:
        program = subprocess.Popen(
            [*command, name, *words],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "SERVER_URL": system.base_url,
                "PYTHONUNBUFFERED": "1",
                "NO_PROXY": "127.0.0.1",
            },
        )
    deadline = time.monotonic() + seconds

    def printed():
        return (folder / f"{name}.out").read_text()

    while "outcome" not in printed() or "bid_placed" not in printed():
        assert program.poll() is None, printed()
        assert time.monotonic() < deadline, printed()
        time.sleep(0.05)
    return program, printed


def test_python_client_of_the_readme_bids_and_sees_the_next_bid(system, auction_id, tmp_path):
    code = CODE["python"]
    assert len(code.splitlines()) <= 30
    first, first_printed = run_client(tmp_path, "one.py", code, [sys.executable], system, auction_id)
    second, _ = run_client(tmp_path, "two.py", code, [sys.executable], system)  # finds the auction itself
    deadline = time.monotonic() + 5
    while first_printed().count("bid_placed") < 2:
        assert time.monotonic() < deadline, first_printed()
        time.sleep(0.05)
    for program in (first, second):
        program.kill()
        program.wait()
    assert "leading" in first_printed()


def test_javascript_client_of_the_readme_bids(system, auction_id, tmp_path):
    modules = next(
        (p for p in (ROOT / "node_modules", ROOT / "tests/js/node_modules") if (p / "centrifuge").is_dir()),
        None,
    )
    if modules is None:
        pytest.skip("node or its centrifuge package is not here (npm install centrifuge ws)")
    (tmp_path / "node_modules").symlink_to(modules)
    program, printed = run_client(tmp_path, "bid.mjs", CODE["js"], ["node"], system, auction_id)
    program.kill()
    program.wait()
    assert "leading" in printed()
