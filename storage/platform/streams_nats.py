"""Committed events and facts over NATS: a JetStream stream of them, and announcements of stream heads.

Subjects: `events.<kind>` for the events of streams `<kind>:<id>`, `facts.<kind>` for the facts about aggregates
`<kind>:<id>`; for example `events.auctions`, `events.personal`, `facts.auctions`. A message carries the events of one
transaction and one subject as JSON `[[stream, number, at_ms, type, data], …]`; those of one stream ascend within it and
from message to message. Its id (`Nats-Msg-Id`) is `<stream>:<number>` of its first event. Messages are cut by the
transaction alone, so one that is sent again is the same, and JetStream stores it once.

Header `Mnbara-Transaction`: the transaction. `Mnbara-Position`: events of transactions below this one are in messages
before.

Heads (`mnbara.heads`, core NATS, msgpack map of stream to newest number) tell server processes what they may miss.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from protocols.errors import TemporarilyUnavailable
from storage.engines.nats import Client, NatsError, in_words
from storage.platform.events_postgres import FACTS, StoredEvent
from storage.platform.relay_postgres import CommittedBatch, CommittedEvent

_encode = msgspec.json.Encoder().encode

STREAM = "EVENTS"
HEADS = "mnbara.heads"
TRANSACTION_HEADER = "Mnbara-Transaction"
POSITION_HEADER = "Mnbara-Position"

MAX_AGE_S = 7 * 24 * 3600
"""How long JetStream keeps events; the events table keeps them for good."""

MAX_BYTES = 2 * 1024**3
"""Disk the stream may take; the oldest messages leave first. NATS reserves it, and refuses what is not there."""

MAX_BYTES_LEAST = 4 * 1024**2
"""The least that is asked of a disk that has no more."""

NO_STORAGE = 10047
"""NATS's number for "insufficient storage resources available"."""

DEDUPLICATE_S = 120
"""A repeated message is recognised for this long."""

ACK_TIMEOUT_S = 5.0
"""How long a relay batch may wait for JetStream before it is sent again."""

EVENTS_PER_MESSAGE_MAX = 500
BYTES_PER_MESSAGE_MAX = 256 * 1024
"""Keep a message far below the server's limit of 1 MiB."""

UNACKNOWLEDGED_MAX = 4_000
"""Messages on their way at a time: the driver's own limit, said here because a batch has more."""


def settings(max_bytes: int | None = None) -> StreamConfig:
    """Return what the stream shall be; without a number it gets all that it may take."""
    return StreamConfig(
        name=STREAM,
        subjects=["events.>", "facts.>"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=MAX_AGE_S,
        max_bytes=MAX_BYTES if max_bytes is None else max_bytes,
        duplicate_window=DEDUPLICATE_S,
    )


class EventStream:
    """The JetStream stream as one connection writes it."""

    def __init__(self, client: Client) -> None:
        """Write over this connection; one context, because each holds a subscription of its own for answers."""
        self.client = client
        self._stream: JetStreamContext = client.jetstream(
            timeout=ACK_TIMEOUT_S, publish_async_max_pending=UNACKNOWLEDGED_MAX
        )

    async def prepare(self) -> "Prepared":
        """Create the stream, or bring its settings up to date.

        A disk that has too little gets a smaller stream. A stream whose settings are refused takes messages as before.
        Raises TemporarilyUnavailable.
        """
        try:
            return await self._update()
        except APIError as error:
            return Prepared(0, in_words(error))
        except (NatsError, TimeoutError, OSError) as error:
            raise TemporarilyUnavailable(in_words(error)) from error

    async def _update(self) -> "Prepared":
        try:
            held = (await self._stream.stream_info(STREAM)).config.max_bytes
        except NotFoundError:
            return await self._add()
        try:
            await self._stream.update_stream(settings())
        except APIError as error:
            if error.err_code != NO_STORAGE:
                raise
            await self._stream.update_stream(settings(held))
            return Prepared(held or 0, in_words(error))
        return Prepared(MAX_BYTES, "")

    async def _add(self) -> "Prepared":
        """Create the stream with as much disk as there is: all, half, a quarter and so on."""
        asked, refused = MAX_BYTES, ""
        while True:
            try:
                await self._stream.add_stream(settings(asked))
            except APIError as error:
                if error.err_code != NO_STORAGE or asked <= MAX_BYTES_LEAST:
                    raise
                asked, refused = max(asked // 2, MAX_BYTES_LEAST), in_words(error)
            else:
                return Prepared(asked, refused)

    async def publish(self, batch: CommittedBatch) -> None:
        """Store a batch. Raises TemporarilyUnavailable, in NATS's words, unless every message was acknowledged."""
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                acks = [
                    await self._stream.publish_async(
                        message.subject,
                        message.body,
                        headers={
                            "Nats-Msg-Id": message.message_id,
                            TRANSACTION_HEADER: str(message.transaction_id),
                            POSITION_HEADER: str(batch.position),
                        },
                    )
                    for message in messages_of(batch.events)
                ]
                await asyncio.gather(*acks)
        except (NatsError, TimeoutError, OSError) as error:
            raise TemporarilyUnavailable(in_words(error)) from error


class Prepared(NamedTuple):
    """What NATS made of the settings."""

    max_bytes: int
    """The disk that the stream may take; 0 when its settings were refused."""
    refused: str
    """NATS's words about what it refused, "" when it took everything."""


async def check_stream(client: Client) -> None:
    """Raises TemporarilyUnavailable unless the stream is there with all the disk it shall have."""
    try:
        info = await client.jetstream(timeout=1.0).stream_info(STREAM)
    except (NatsError, TimeoutError, OSError) as error:
        raise TemporarilyUnavailable(in_words(error)) from error
    if (info.config.max_bytes or 0) < MAX_BYTES:
        raise TemporarilyUnavailable("The stream of events has less disk than it shall have")


class Message(NamedTuple):
    """What is stored in JetStream."""

    subject: str
    message_id: str
    transaction_id: int
    body: bytes


def messages_of(events: Sequence[CommittedEvent]) -> Iterator[Message]:
    """Yield the messages of events: those of one transaction and one subject share messages."""
    groups: dict[tuple[int, str], list[CommittedEvent]] = {}
    for event in events:
        groups.setdefault((event.transaction_id, subject_of(event.stream)), []).append(event)
    for (transaction_id, subject), members in groups.items():
        for part in _parts(members):
            message_id = f"{part[0].stream}:{part[0].number}"
            yield Message(subject, message_id, transaction_id, _encode([_row(event) for event in part]))


def subject_of(stream: str) -> str:
    """Return the subject of a stream: `events.<kind>`, or `facts.<kind>` for what was stated about an aggregate."""
    if stream.startswith(FACTS):
        return f"facts.{stream[len(FACTS) :].partition(':')[0]}"
    return f"events.{stream.partition(':')[0]}"


def _parts(events: Sequence[CommittedEvent]) -> Iterator[Sequence[CommittedEvent]]:
    """Yield runs that fit into a message; where they end depends on the events alone."""
    start = size = 0
    for place, event in enumerate(events):
        size += len(event.data)
        if place > start and (place - start == EVENTS_PER_MESSAGE_MAX or size > BYTES_PER_MESSAGE_MAX):
            yield events[start:place]
            start, size = place, len(event.data)
    yield events[start:]


def _row(event: StoredEvent) -> tuple[str, int, int, str, Raw]:
    return event.stream, event.number, event.at_ms, event.type, Raw(event.data.encode())


async def announce_heads(client: Client, heads: dict[str, int]) -> None:
    """Tell every server process the newest numbers; best effort. Raises TemporarilyUnavailable."""
    try:
        await client.publish(HEADS, msgspec.msgpack.encode(heads))
    except (NatsError, OSError) as error:
        raise TemporarilyUnavailable(in_words(error)) from error


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
