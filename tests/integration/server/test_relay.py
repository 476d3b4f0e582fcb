"""The relay on real PostgreSQL and NATS: everything committed is sent, in order, at least once, nothing skipped."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from nats.aio.client import Client
from structlog.testing import capture_logs

from protocols.errors import Fault, TemporarilyUnavailable
from server.worker.relay import Relay
from storage.engines.nats import NatsLink, open_nats
from storage.engines.postgres import Database, open_database
from storage.platform import relay_postgres, streams_nats
from storage.platform.events_postgres import NewEvent, StoredEvent, append_events
from storage.platform.streams_nats import STREAM, EventStream, check_stream, follow_heads


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str) -> AsyncIterator[Database]:
    made = await open_database(database)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(nats_url: str) -> AsyncIterator[Client]:
    made = await open_nats(nats_url, "tests")
    assert await EventStream(made).prepare() == (streams_nats.MAX_BYTES, "")
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


async def stored_messages(client: Client, subject: str = "events.auctions") -> list[list[list]]:
    """Read the messages of a subject back from JetStream, in order."""
    subscription = await client.jetstream().subscribe(subject, ordered_consumer=True)
    messages: list[list[list]] = []
    try:
        while True:
            messages.append(json.loads((await subscription.next_msg(timeout=0.3)).data))
    except TimeoutError:
        return messages
    finally:
        await subscription.unsubscribe()


async def stored_events(client: Client, stream: str) -> list[tuple[int, str]]:
    """Number and type of a stream's events in JetStream, in order."""
    kind = stream.partition(":")[0]
    rows = [row for message in await stored_messages(client, f"events.{kind}") for row in message]
    return [(number, event_type) for name, number, _, event_type, _ in rows if name == stream]


async def stored_numbers(client: Client, stream: str) -> list[int]:
    return [number for number, _ in await stored_events(client, stream)]


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


async def test_events_of_one_stream_keep_their_order_whatever_their_types(opened, client, link):
    relay = Relay(opened, link)
    await drain(relay)
    types = ["bid_placed", "bid_retracted", "bid_placed", "auction_closed", "bid_placed"]
    for event_type in types:  # several transactions, one batch of the relay
        async with opened.transaction() as db:
            await append_events(db, [NewEvent("auctions:types", event_type, "{}")], 5)
    await drain(relay)
    assert await stored_events(client, "auctions:types") == list(enumerate(types, start=1))


async def test_a_batch_cut_otherwise_after_a_restart_is_stored_once(opened, client, link, pool):
    relay = Relay(opened, link)
    await drain(relay)
    position = await pool.fetchval("SELECT transaction_id::text FROM relay_position")
    await append(opened, "auctions:cut", 3)
    await drain(relay)
    await pool.execute("UPDATE relay_position SET transaction_id = $1::text::xid8", position)
    await append(opened, "auctions:cut", 2)
    await append(opened, "auctions:cut", 4)
    assert await drain(relay) == 9
    assert await stored_numbers(client, "auctions:cut") == list(range(1, 10))


async def test_the_end_of_a_batch_does_not_part_a_stream_from_what_comes_before(
    opened, client, link, pool: asyncpg.Pool, monkeypatch
):
    monkeypatch.setattr("server.worker.relay.BATCH_EVENTS", 3)
    relay = Relay(opened, link)
    await drain(relay)
    async with pool.acquire() as slow, slow.transaction():
        await slow.fetchval("SELECT pg_current_xact_id()")  # the lowest id, the last number
        for _ in range(5):
            await append(opened, "auctions:parted", 2)
        await append_events(slow, [NewEvent("auctions:parted", "bid_placed", "{}")], 5)
    assert await drain(relay) == 11
    assert await stored_numbers(client, "auctions:parted") == list(range(1, 12))


async def test_the_transactions_of_a_batch_are_ordered_as_they_committed():
    def event(transaction_id: int, stream: str, number: int) -> relay_postgres.CommittedEvent:
        return relay_postgres.CommittedEvent(stream, number, "t", "{}", 5, transaction_id)

    events = [event(1, "a", 3), event(1, "b", 9), event(2, "a", 2), event(2, "c", 4), event(3, "c", 3)]
    ordered = relay_postgres._in_commit_order(events)
    assert [e.transaction_id for e in ordered] == [3, 2, 2, 1, 1]


def test_messages_are_cut_by_size_and_named_by_their_first_event():
    long = "x" * (streams_nats.BYTES_PER_MESSAGE_MAX // 2)
    events = [
        relay_postgres.CommittedEvent("auctions:a", n, "t", f'{{"a":"{long}"}}', 5, 7) for n in range(1, 4)
    ]
    events += [relay_postgres.CommittedEvent("facts:auctions:a", 1, "t", "{}", 5, 7)]
    cut = [message[:2] for message in streams_nats.messages_of(events)]
    assert cut == [
        ("events.auctions", "auctions:a:1"),
        ("events.auctions", "auctions:a:2"),
        ("events.auctions", "auctions:a:3"),
        ("facts.auctions", "facts:auctions:a:1"),
    ]
    assert isinstance(events[0], StoredEvent)


async def test_changed_settings_are_applied_and_refused_ones_stop_nobody(
    opened, client, link, pool, monkeypatch
):
    monkeypatch.setattr(streams_nats, "MAX_AGE_S", 3 * 24 * 3600)
    relay = Relay(opened, link)
    await append(opened, "auctions:settings", 1)
    await drain(relay)
    config = (await client.jetstream().stream_info(STREAM)).config
    assert config.max_age == 3 * 24 * 3600
    assert config.subjects == ["events.>", "facts.>"]
    monkeypatch.setattr(streams_nats, "DEDUPLICATE_S", 30 * 24 * 3600)  # longer than the age: NATS refuses
    _, refused = await EventStream(client).prepare()
    assert refused.startswith("NATS refuses: ")
    assert "window" in refused
    await append(opened, "auctions:settings", 2)
    await drain(Relay(opened, link))
    assert await stored_numbers(client, "auctions:settings") == [1, 2, 3]


async def test_a_disk_with_too_little_gets_a_smaller_stream_and_later_the_full_one(
    opened, client, link, pool, monkeypatch
):
    """NATS gives JetStream three quarters of the free disk, at most: nobody has a tebibyte of that."""
    await client.jetstream().delete_stream(STREAM)
    with monkeypatch.context() as patch:
        patch.setattr(streams_nats, "MAX_BYTES", 2**60)
        relay = Relay(opened, link)
        await append(opened, "auctions:small", 1)
        with capture_logs() as logs:
            await drain(relay)
            relay._prepare_again_at = 0.0
            await append(opened, "auctions:small", 1)
            await drain(relay)
        (line,) = [line for line in logs if line["event"] == "stream_settings_refused"]
        assert "10047" in line["reason"]
        assert 2**20 < relay.stream_bytes_max == line["max_bytes"] < 2**60
        with pytest.raises(TemporarilyUnavailable, match="less disk"):
            await check_stream(client)
    relay._prepare_again_at = 0.0
    await append(opened, "auctions:small", 1)
    await drain(relay)
    assert relay.stream_bytes_max == streams_nats.MAX_BYTES
    await check_stream(client)
    assert await stored_numbers(client, "auctions:small") == [1, 2, 3]


async def test_a_message_that_nats_refuses_is_reported_in_its_words(opened, client, link, pool):
    relay = Relay(opened, link)
    await append(opened, "auctions:sent", 1)
    await drain(relay)
    await client.jetstream().delete_stream(STREAM)
    await append(opened, "auctions:refused", 1)
    with pytest.raises(TemporarilyUnavailable, match="no stream takes this subject"):
        await relay.step()
    relay._is_prepared = False  # as `run` does after a fault
    assert await drain(relay) == 1
    assert await stored_numbers(client, "auctions:refused") == [1]
