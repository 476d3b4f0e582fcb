"""The relay on real PostgreSQL and NATS: everything committed is sent, in order, at least once, nothing skipped."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from nats.aio.client import Client

from protocols.errors import Fault
from server.worker.relay import Relay
from storage.engines.nats import NatsLink, open_nats
from storage.engines.postgres import Database, open_database
from storage.platform.events_postgres import NewEvent, append_events
from storage.platform.streams_nats import STREAM, follow_heads, prepare_stream


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str) -> AsyncIterator[Database]:
    made = await open_database(database)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(nats_url: str) -> AsyncIterator[Client]:
    made = await open_nats(nats_url, "tests")
    await prepare_stream(made)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def link(nats_url: str, client: Client) -> AsyncIterator[NatsLink]:
    made = NatsLink(nats_url, "relay")
    async with asyncio.timeout(5):
        while True:
            try:
                await made.ping()
            except Fault:
                await asyncio.sleep(0.01)
            else:
                break
    yield made
    await made.close()


async def drain(relay: Relay) -> int:
    total = 0
    while sent := await relay.step():
        total += sent
    return total


async def stored_numbers(client: Client, stream: str) -> list[int]:
    """Read a stream's events back from JetStream, in order."""
    subscription = await client.jetstream().subscribe("events.auctions.bid_placed", ordered_consumer=True)
    numbers: list[int] = []
    try:
        while True:
            message = await subscription.next_msg(timeout=0.3)
            numbers += [number for name, number, _, _ in json.loads(message.data) if name == stream]
    except TimeoutError:
        return numbers
    finally:
        await subscription.unsubscribe()


async def append(opened: Database, stream: str, count: int) -> None:
    async with opened.transaction() as db:
        await append_events(db, [NewEvent(stream, "bid_placed", '{"a":1}')] * count, 5)


async def test_every_event_reaches_the_stream_in_order(opened, client, link):
    relay = Relay(opened, link)
    await drain(relay)
    await asyncio.gather(*(append(opened, f"auctions:a{n % 3}", 4) for n in range(30)))
    assert await drain(relay) == 120
    for n in range(3):
        assert await stored_numbers(client, f"auctions:a{n}") == list(range(1, 41))


async def test_a_transaction_larger_than_a_batch_goes_whole(opened, client, link):
    relay = Relay(opened, link)
    await drain(relay)
    await append(opened, "auctions:big", 6_000)
    assert await relay.step() == 6_000
    assert await stored_numbers(client, "auctions:big") == list(range(1, 6_001))


async def test_an_earlier_transaction_that_commits_later_is_not_skipped(
    opened, client, link, pool: asyncpg.Pool
):
    relay = Relay(opened, link)
    await drain(relay)
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await append_events(slow, [NewEvent("auctions:slow", "bid_placed", "{}")], 5)
        await append(opened, "auctions:fast", 1)
        await drain(relay)
        await transaction.commit()
    await drain(relay)
    assert await stored_numbers(client, "auctions:slow") == [1]
    assert await stored_numbers(client, "auctions:fast") == [1]


async def test_a_batch_sent_again_is_stored_once(opened, client, link, pool):
    relay = Relay(opened, link)
    await drain(relay)
    position = await pool.fetchval("SELECT transaction_id::text FROM relay_position")
    await append(opened, "auctions:again", 5)
    await drain(relay)
    await pool.execute("UPDATE relay_position SET transaction_id = $1::text::xid8", position)
    assert await drain(relay) == 5
    assert await stored_numbers(client, "auctions:again") == [1, 2, 3, 4, 5]


async def test_heads_are_announced(opened, client, link, nats_url):
    relay = Relay(opened, link)
    await drain(relay)
    heard: dict[str, int] = {}
    listener = await open_nats(nats_url, "listener")
    await follow_heads(listener, heard.update)
    await listener.flush()
    await append(opened, "auctions:heads", 3)
    await drain(relay)
    for _ in range(50):
        if "auctions:heads" in heard:
            break
        await asyncio.sleep(0.02)
    assert heard["auctions:heads"] == 3
    await listener.close()


async def test_two_relays_send_each_event_once(opened, client, link):
    relays = [Relay(opened, link), Relay(opened, link)]
    await drain(relays[0])
    for n in range(20):
        await append(opened, f"auctions:two{n % 2}", 2)
    totals = await asyncio.gather(*(drain(relay) for relay in relays))
    await drain(relays[0])
    assert sum(totals) <= 40
    for n in range(2):
        assert await stored_numbers(client, f"auctions:two{n}") == list(range(1, 21))


async def test_the_position_stays_when_jetstream_is_away(opened, client, link, pool):
    relay = Relay(opened, link)
    await drain(relay)
    lost = NatsLink("nats://127.0.0.1:1", "lost")
    broken = Relay(opened, lost)
    await append(opened, "auctions:kept", 1)
    try:
        await broken.step()
    except Fault:
        pass
    else:
        raise AssertionError("a relay without NATS claimed to have sent")
    finally:
        await lost.close()
    assert await drain(relay) == 1
    assert await stored_numbers(client, "auctions:kept") == [1]
    assert (await client.jetstream().stream_info(STREAM)).state.messages > 0


async def test_a_transaction_that_began_first_and_numbered_last_is_sent_last(
    opened, client, link, pool: asyncpg.Pool
):
    relay = Relay(opened, link)
    await append(opened, "auctions:turned", 1)
    await drain(relay)
    async with pool.acquire() as slow, slow.transaction():
        await slow.fetchval("SELECT pg_current_xact_id()")  # the lower id
        await append(opened, "auctions:turned", 2)
        await slow.execute(
            "WITH moved AS (UPDATE streams SET head = head + 1 WHERE stream = 'auctions:turned' RETURNING head)"
            " INSERT INTO events (stream, number, at_ms, type, data)"
            " SELECT 'auctions:turned', head, 5, 'bid_placed', '{}' FROM moved"
        )
    assert await drain(relay) == 3
    assert await stored_numbers(client, "auctions:turned") == [1, 2, 3, 4]
