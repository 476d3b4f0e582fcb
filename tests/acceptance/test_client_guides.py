"""The guides of docs/clients work as printed: their pieces, joined, are programs that run against a real system."""

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.guide_programs import Program, build, start
from tests.support.js_client import NOWHERE
from tests.support.players import Player, open_auction, sign_up
from tests.support.system import System, running_system, scratch_home

pytestmark = pytest.mark.slow

TOKEN_S = 4
"""Life of an access token, short enough for the guides' refreshing to be seen."""


@pytest.fixture(scope="module")
def system(engines, database, redis_url) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_ACCESS_TOKEN_S": str(TOKEN_S),
        "MNBARA_DRAIN_S": "1",
    }
    with scratch_home() as home, running_system(home, processes=1, environment=environment) as running:
        yield running


async def new_auction(system: System) -> str:
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        return (await open_auction(await sign_up(http, "seller")))["id"]


@pytest_asyncio.fixture(loop_scope="module")
async def auction_id(system) -> str:
    return await new_auction(system)


@pytest.fixture
def run(system, tmp_path) -> Iterator[Callable[..., Program]]:
    started = []

    def start_guide(guide: str, language: str, *words: str, **environment: str) -> Program:
        program = start(build(guide, language, tmp_path), tmp_path, system, *words, **environment)
        started.append(program)
        return program

    yield start_guide
    for program in started:
        program.end()


async def outbid(system: System, auction_id: str, amount: int) -> None:
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        rival: Player = await sign_up(http)
        answer = await rival.post(f"/v1/auctions/{auction_id}/bids", {"amount": amount}, key="one")
        assert answer.status_code == 201, answer.text


GUIDES = {
    "js": "javascript.md",
    "python": "python.md",
    "go": "go.md",
    "java": "java.md",
    "kotlin": "kotlin.md",
}


async def before_the_kill(system: System, command: list[str], folder: Path) -> tuple[Program, str]:
    """Let a guide's program bid, be outbid and refresh; return it and its auction."""
    auction_id = await new_auction(system)
    program = start(command, folder, system, auction_id)
    try:
        await program.until("leading", "bid_too_low", "after event", "event 2 bid_placed")
        await outbid(system, auction_id, 50_000)
        await program.until("event 3 bid_placed", "for me: outbid")
        printed = await program.until("refreshed")
        assert printed.count("connecting") <= 1  # the first one: a refresh keeps the connection
    except BaseException:
        program.end()
        raise
    return program, auction_id


async def after_the_kill(system: System, program: Program, auction_id: str) -> str:
    """Let it recover and see one more bid; return all it printed."""
    try:
        await program.until("subscribed", times=2, seconds=60)  # an SDK may wait 20 s between two attempts
        await outbid(system, auction_id, 90_000)
        return await program.until("event 4 bid_placed")
    finally:
        program.end()


async def at_once(given, work):
    """Do the work in every language that has come this far; keep what stopped the others."""
    sound = {language: one for language, one in given.items() if not isinstance(one, BaseException)}
    made = await asyncio.gather(*(work(*item) for item in sound.items()), return_exceptions=True)
    return {**given, **dict(zip(sound, made, strict=True))}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def printed(system, tmp_path_factory) -> dict[str, str | BaseException]:
    """What each guide's program printed in its life, or why it has none; all live at once on one system."""
    folders = {language: tmp_path_factory.mktemp(language) for language in GUIDES}
    built = await at_once(
        folders, lambda language, folder: asyncio.to_thread(build, GUIDES[language], language, folder)
    )
    begun = await at_once(
        built, lambda language, command: before_the_kill(system, command, folders[language])
    )
    system.kill("server-0")
    return await at_once(begun, lambda _language, life: after_the_kill(system, *life))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", GUIDES)
async def test_a_guide_bids_sees_refusals_refreshes_and_recovers(printed, language):
    told = printed[language]
    if isinstance(told, BaseException):
        raise told
    assert "refusal " in told
    assert re.findall(r"^event (\d+)", told, re.MULTILINE) == ["2", "3", "4"]


@pytest.mark.parametrize("blocked", [False, True])
async def test_the_fallback_guide_connects_either_way(system, auction_id, run, blocked):
    facts = {"MNBARA_SOCKET": f"ws://{NOWHERE}"} if blocked else {}
    program = run("fallback.md", "js", auction_id, **facts)
    printed = await program.until("auction live", "subscribed")
    assert f"connected by {'http_stream' if blocked else 'websocket'}" in printed
    await outbid(system, auction_id, 5_000)
    await program.until("event 2 bid_placed")


async def test_the_fallback_guide_works_without_an_sdk(system, auction_id, run):
    program = run("fallback.md", "python", auction_id)
    await program.until("subscribed after event 1")
    await outbid(system, auction_id, 5_000)
    await program.until("event 2 bid_placed")


SKEW_JS = "const now = Date.now; Date.now = () => now() + Number(process.env.SKEW_MS);\n"
SKEW_PYTHON = (
    "import os, time\n_now = time.time\ntime.time = lambda: _now() + float(os.environ['SKEW_MS']) / 1000\n"
)


SKEWS_MS = (-600_000, 0, 600_000)


async def count_down(system: System, folder: Path, language: str, skew_ms: int) -> tuple[float, str]:
    """Let a guide's program count an auction down by a wrong clock; return the true end and all it printed."""
    (folder / "skew.mjs").write_text(SKEW_JS)
    (folder / "sitecustomize.py").write_text(SKEW_PYTHON)
    skewed = (
        {"NODE_OPTIONS": f"--import {folder / 'skew.mjs'}"}
        if language == "js"
        else {"PYTHONPATH": str(folder)}
    )
    command = build("countdown.md", language, folder)
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        soon = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
        auction = await open_auction(await sign_up(http, "seller"), ends_at=soon)
    program = start(command, folder, system, auction["id"], SKEW_MS=str(skew_ms), **skewed)
    try:
        printed = await program.until("ends by our clock at", "left", "over: unsold")
    finally:
        program.end()
    return datetime.fromisoformat(auction["ends_at"]).timestamp() * 1000, printed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def countdowns(system, tmp_path_factory) -> dict[tuple[str, int], tuple[float, str] | BaseException]:
    """The end and the words of a countdown in each language under each clock, all at once."""
    cases = [(language, skew_ms) for language in ("js", "python") for skew_ms in SKEWS_MS]
    counting = [count_down(system, tmp_path_factory.mktemp("skew"), *case) for case in cases]
    return dict(zip(cases, await asyncio.gather(*counting, return_exceptions=True), strict=True))


@pytest.mark.parametrize("skew_ms", SKEWS_MS)
@pytest.mark.parametrize("language", ["js", "python"])
def test_the_countdown_guide_is_true_whatever_the_clients_clock_says(countdowns, language, skew_ms):
    """The shown end is off by half the round trip that it was learned in, and 50 ms for a busy machine, at most."""
    told = countdowns[language, skew_ms]
    if isinstance(told, BaseException):
        raise told
    ends_at_ms, printed = told
    shown_ms, known_to_ms = map(float, re.findall(r"at (\d+) known to ([\d.]+) ms", printed)[0])
    assert known_to_ms < 1_000
    assert abs(shown_ms - skew_ms - ends_at_ms) <= 50 + known_to_ms
    shown_at_the_end = [float(left) for left in re.findall(r"^left ([\d.]+) s", printed, re.MULTILINE)]
    assert shown_at_the_end[0] <= 6.1
    assert shown_at_the_end[-1] <= 1.0
