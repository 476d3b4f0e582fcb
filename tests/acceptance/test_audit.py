"""The auditor from the command line on a running system; and one result each, also when closing is killed."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.support.players import open_auction, sign_up
from tests.support.system import ROOT, running_system, scratch_home

FORMATS = ("english", "sealed_first_price", "sealed_second_price")


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def tell(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `./mnbara audit-auction`."""
    command = [sys.executable, "-m", "server.cli", "audit-auction", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


async def closed(http, auction: str) -> dict:
    async with asyncio.timeout(90):
        while True:
            state = (await http.get(f"/v1/auctions/{auction}")).json()
            if state["status"] not in {"scheduled", "live"}:
                return state
            await asyncio.sleep(0.05)


async def test_the_command_says_equal_for_every_format(shared_system, shared_http):
    seller, bidder, other = [await sign_up(shared_http) for _ in range(3)]
    auctions = [
        (await open_auction(seller, format=name, ends_at=in_seconds(4), reserve_price=1500))["id"]
        for name in FORMATS
    ]
    fall = {"floor_price": 100, "step": 100, "tick_s": 1}
    auctions.append((await open_auction(seller, format="dutch", dutch=fall))["id"])
    for auction in auctions:
        for player, amount in ((bidder, 2000), (other, 1700)):
            await player.post(f"/v1/auctions/{auction}/bids", {"amount": amount}, key=str(amount) + auction)
    auctions += [
        await played_reverse(seller, bidder, other),
        await played_units(seller, bidder, other),
    ]
    results = [await closed(shared_http, auction) for auction in auctions]
    assert [state["price"] for state in results[:3]] == [1750, 2000, 1700]
    assert results[3]["price"] <= 1000
    assert [state["price"] for state in results[4:]] == [650, 1700]
    for auction in auctions:
        told = await asyncio.to_thread(tell, auction, "--url", shared_system.base_url)
        assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "equal"), told.stdout + told.stderr


async def played_reverse(seller, bidder, other) -> str:
    auction = (await open_auction(seller, format="reverse", ends_at=in_seconds(3)))["id"]
    for player, amount in ((bidder, 700), (other, 500)):
        await player.post(f"/v1/auctions/{auction}/bids", {"amount": amount}, key=auction)
    refused = await bidder.post(f"/v1/auctions/{auction}/bids", {"amount": 699}, key="high" + auction)
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["maximum_bid"]) == (422, "bid_too_high", 600)
    return auction


async def played_units(seller, bidder, other) -> str:
    goods = {"title": "Cups", "description": "", "category": "other", "condition": "new", "quantity": 3}
    listing = (await seller.post("/v1/listings", goods)).json()["id"]
    terms = {"listing_id": listing, "quantity": 3, "ends_at": in_seconds(3)}
    auction = (await open_auction(seller, **terms))["id"]
    for player, amount in ((bidder, 2000), (other, 1700)):
        body = {"amount": amount, "quantity": 2}
        answer = await player.post(f"/v1/auctions/{auction}/bids", body, key=auction)
        assert answer.json()["units"] == (2 if player is bidder else 1)
    return auction


async def test_wrong_words_absent_auctions_and_dead_servers_are_told(shared_system, shared_http):
    absent = "0192f000-0000-7000-8000-000000000000"
    assert tell().returncode == tell("x").returncode == tell(absent, "--url").returncode == 2
    told = await asyncio.to_thread(tell, absent, "--url", shared_system.base_url)
    assert (told.returncode, "404" in told.stderr) == (1, True)
    told = await asyncio.to_thread(tell, absent, "--url", "http://127.0.0.1:9")
    assert (told.returncode, "does not answer" in told.stderr) == (1, True)


async def open_with_bids(http, seconds: float) -> tuple[list[str], datetime]:
    """Open ninety sealed auctions that end together after so many seconds, and bid on each; return them and the end."""
    seller, *bidders = [await sign_up(http) for _ in range(4)]
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    auctions = [
        (await open_auction(seller, format=FORMATS[n % 3], ends_at=ends.isoformat()))["id"] for n in range(90)
    ]
    for auction in auctions:
        for n, player in enumerate(bidders):
            answer = await player.post(
                f"/v1/auctions/{auction}/bids", {"amount": 2_000 + n * 500}, key=auction
            )
            assert answer.status_code == 201 or datetime.now(UTC) >= ends, answer.text
    return auctions, ends


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_in_the_middle_of_closing_every_auction_has_exactly_one_result():
    """The worker dies again and again while sealed auctions end; each is closed once, and by the rules."""
    import httpx

    with (
        scratch_home() as home,
        running_system(home, processes=1, environment={"MNBARA_RATE_LIMITS": "off"}) as system,
    ):
        async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as http:
            for seconds in (9, 30, 90):  # a slow machine gets more time to bid
                auctions, ends = await open_with_bids(http, seconds)
                if datetime.now(UTC) < ends:
                    break
            await asyncio.sleep((ends - datetime.now(UTC)).total_seconds() + 0.02)
            for pause_s in (0.004, 0.01, 0.03):  # around the transaction that closes
                await asyncio.to_thread(system.kill, "worker")
                await asyncio.sleep(pause_s)
            states = [await closed(http, auction) for auction in auctions]
            assert {state["status"] for state in states} == {"sold"}
            await assert_one_close_each(home, auctions)
            for auction in auctions[:6]:
                told = await asyncio.to_thread(tell, auction, "--url", system.base_url)
                assert told.returncode == 0, told.stdout + told.stderr


async def assert_one_close_each(home, auctions):
    from server.local.engines import LocalEngines

    db = await asyncpg.connect(LocalEngines(home).postgres_url("mnbara"))
    try:
        streams = [f"auctions:{auction}" for auction in auctions]
        rows = await db.fetch(
            "SELECT stream, count(*) FROM events WHERE type = 'auction_closed' AND stream = ANY($1) GROUP BY 1",
            streams,
        )
        assert [row["count"] for row in rows] == [1] * len(auctions)
        won = "SELECT count(*) FROM events WHERE type = 'auction_won' AND data->>'auction_id' = ANY($1)"
        assert await db.fetchval(won, auctions) == len(auctions)
    finally:
        await db.close()
