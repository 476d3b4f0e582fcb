"""Domain events between processes over NATS: a JetStream stream of committed events, and announcements of stream heads.

Subject: `events.<kind>.<type>`, for example `events.auctions.bid_placed`; a message carries the events of one kind and
type of one relay batch, in order, as JSON `[[stream, number, at_ms, data], …]`. `Nats-Msg-Id` names the first and last
event and their count, so that a batch sent again within two minutes is stored once. Consumers keep an inbox.
Heads (`mnbara.heads`, core NATS, msgpack map of stream to newest number) tell server processes what they may miss.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec
from msgspec import Raw
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from protocols.errors import TemporarilyUnavailable
from storage.engines.nats import Client, NatsError
from storage.platform.events_postgres import StoredEvent

_encode = msgspec.json.Encoder().encode

STREAM = "EVENTS"
HEADS = "mnbara.heads"

MAX_AGE_S = 7 * 24 * 3600
"""How long JetStream keeps events; the events table keeps them for good."""

MAX_BYTES = 2 * 1024**3
"""Disk the stream may take; the oldest messages leave first."""

DEDUPLICATE_S = 120
"""A repeated relay batch is recognised for this long."""

ACK_TIMEOUT_S = 5.0
"""How long a relay batch may wait for JetStream before it is sent again."""

EVENTS_PER_MESSAGE_MAX = 500
"""Keeps a message of small events far below the server's limit of 1 MiB."""


async def prepare_stream(client: Client) -> None:
    """Create the stream of events, or bring its settings up to date."""
    config = StreamConfig(
        name=STREAM,
        subjects=["events.>"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=MAX_AGE_S,
        max_bytes=MAX_BYTES,
        duplicate_window=DEDUPLICATE_S,
    )
    try:
        await client.jetstream(timeout=ACK_TIMEOUT_S).add_stream(config)
    except (NatsError, TimeoutError, OSError) as error:
        raise TemporarilyUnavailable("NATS is out of reach") from error


async def publish_events(client: Client, events: Sequence[StoredEvent]) -> None:
    """Store events in JetStream. Raises TemporarilyUnavailable unless every message was acknowledged."""
    stream = client.jetstream(timeout=ACK_TIMEOUT_S)
    try:
        async with asyncio.timeout(ACK_TIMEOUT_S):
            acks = [
                await stream.publish_async(subject, body, headers={"Nats-Msg-Id": message_id})
                for subject, message_id, body in messages_of(events)
            ]
            await asyncio.gather(*acks)
    except (NatsError, TimeoutError, OSError) as error:
        raise TemporarilyUnavailable("NATS is out of reach") from error


def messages_of(events: Sequence[StoredEvent]) -> Iterator[tuple[str, str, bytes]]:
    """Yield (subject, message id, body): events of one kind and type share messages, in their order."""
    groups: dict[tuple[str, str], list[StoredEvent]] = {}
    for event in events:
        groups.setdefault((event.stream.partition(":")[0], event.type), []).append(event)
    for (kind, event_type), members in groups.items():
        for start in range(0, len(members), EVENTS_PER_MESSAGE_MAX):
            part = members[start : start + EVENTS_PER_MESSAGE_MAX]
            first, last = part[0], part[-1]
            message_id = f"{first.stream}:{first.number}-{last.stream}:{last.number}-{len(part)}"
            yield f"events.{kind}.{event_type}", message_id, _encode([_row(event) for event in part])


def _row(event: StoredEvent) -> tuple[str, int, int, Raw]:
    return event.stream, event.number, event.at_ms, Raw(event.data)


async def announce_heads(client: Client, heads: dict[str, int]) -> None:
    """Tell every server process the newest numbers; best effort."""
    try:
        await client.publish(HEADS, msgspec.msgpack.encode(heads))
    except (NatsError, OSError) as error:
        raise TemporarilyUnavailable("NATS is out of reach") from error


async def follow_heads(client: Client, on_heads: Callable[[dict[str, int]], None]) -> None:
    """Call `on_heads` for every announcement, also after reconnections."""
    decode = msgspec.msgpack.Decoder(dict[str, int]).decode

    def handle(data: bytes) -> None:
        on_heads(decode(data))

    await client.subscribe(HEADS, cb=_each(handle))


def _each(handle: Callable[[bytes], None]) -> Callable[..., Awaitable[None]]:
    async def receive(message: object) -> None:
        handle(message.data)  # type: ignore[attr-defined]

    return receive
