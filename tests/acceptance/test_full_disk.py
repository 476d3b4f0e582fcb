"""The disk of the system is full, for a moment and for long: refusals are temporary, and freed space is enough."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.players import Player, open_auction, sign_up
from tests.support.system import System, running_system, scratch_home

pytestmark = pytest.mark.slow

DISK_MIB = 400
"""The engines begin with half of that; NATS may not reserve what its stream shall have."""


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with scratch_home() as home:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", home],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode != 0:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
        try:
            with running_system(home, processes=2, environment={"MNBARA_RATE_LIMITS": "off"}) as running:
                yield running
        finally:
            subprocess.run(["umount", "--lazy", home], check=True)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as client:
        yield client


@contextlib.contextmanager
def filled(home: Path) -> Iterator[Path]:
    """Leave no byte free until the block ends."""
    file = home / "filler"
    with file.open("wb") as stream:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(stream.fileno(), stream.tell(), size)
                    stream.seek(size, os.SEEK_CUR)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


async def say(player: Player, number: int) -> httpx.Response:
    """Write a listing whose text takes some of the disk; every refusal is a temporary one in the catalogue's form."""
    listing = {"title": f"{number}", "description": "x" * 4000, "category": "other", "condition": "used"}
    answer = await player.post("/v1/listings", listing)
    if answer.status_code >= 500:
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable"), answer.text
    return answer


async def metric(http: httpx.AsyncClient, name: str) -> float:
    lines = (await http.get("/metrics")).text.splitlines()
    return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")))


async def test_on_a_small_disk_the_stream_is_smaller_and_that_is_told(system, http):
    ready = (await http.get("/health/ready")).json()
    assert ready["degraded"] == ["nats_stream"]
    assert 0 < await metric(http, "mnbara_relay_stream_bytes_max") < 2**31
    assert (system.home / "logs" / "worker.log").read_text().count("stream_settings_refused") == 1


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
async def test_after_a_full_disk_freed_space_brings_all_back(system, http, long):
    seller = await sign_up(http, "seller")
    before = system.server_pids()
    refused = 0
    with filled(system.home):
        async with asyncio.timeout(120):
            while refused < (300 if long else 1):
                refused += (await say(seller, refused)).status_code >= 500
            if long:
                while (await http.get("/health/ready")).json()["degraded"] == ["nats_stream"]:
                    await say(seller, refused)
        assert (await http.get("/health/live")).status_code == 200
        assert "mnbara_up" in (await http.get("/metrics")).text
    async with asyncio.timeout(120):
        while (await say(seller, 0)).status_code != 201:
            await asyncio.sleep(0.1)
        auction = await open_auction(await sign_up(http, "seller"))
        while (await http.get("/health/ready")).json()["degraded"] not in ([], ["nats_stream"]):
            await asyncio.sleep(0.1)
        while await metric(http, "mnbara_relay_lag_seconds") > 0.5:
            await asyncio.sleep(0.1)
    assert (await http.get(f"/v1/auctions/{auction['id']}")).status_code == 200
    assert system.server_pids() == before
