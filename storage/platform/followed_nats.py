"""The JetStream stream of events as a follower reads it: from a message on, and nothing missing unnoticed."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw, Struct
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from protocols.errors import TemporarilyUnavailable
from storage.engines.nats import Client, NatsError, in_words
from storage.platform.streams_nats import POSITION_HEADER, STREAM, TRANSACTION_HEADER

FETCHED_MAX = 200
"""Messages asked for at a time; one has a few dozen events under load."""

FETCH_S = 1.0
"""How long to wait for the first of them."""

FORGOTTEN_AFTER_S = 30.0
"""A consumer that nobody asks is deleted by the server after this long."""


class FollowedEvent(Struct, frozen=True, gc=False):
    """An event or a fact; `stream` and `number` together name it."""

    stream: str
    number: int
    at_ms: int
    type: str
    data: Raw
    """JSON: of an event what subscribers see, of a fact its fields."""


@dataclass(frozen=True, slots=True)
class FollowedMessage:
    """The events of one transaction and one subject."""

    sequence: int
    transaction_id: int
    position: int
    """Events of transactions below this one are in earlier messages."""
    events: list[FollowedEvent]


@dataclass(frozen=True, slots=True)
class StreamEnds:
    """What the stream holds."""

    stream: str
    first: int
    last: int


class GapError(Exception):
    """Messages were dropped before they were read, or the stream is another one."""


_decode = msgspec.json.Decoder(list[tuple[str, int, int, str, Raw]]).decode


async def read_ends(client: Client) -> StreamEnds:
    """Return which stream there is and what it holds. Raises TemporarilyUnavailable."""
    try:
        info = await client.jetstream().stream_info(STREAM)
    except (NatsError, TimeoutError, OSError) as error:
        raise TemporarilyUnavailable(in_words(error)) from error
    return StreamEnds(str(info.created), info.state.first_seq, info.state.last_seq)


class Reading:
    """One consumer: it lives as long as one connection, and the follower keeps the position, not the server.

    Nothing is acknowledged. A message that was lost on the way is seen by the consumer's own count.
    """

    def __init__(
        self, client: Client, subscription: JetStreamContext.PullSubscription, ends: StreamEnds
    ) -> None:
        """Read through an open subscription; `open_reading` makes one."""
        self._client = client
        self._subscription = subscription
        self._stream = ends.stream
        self._received = 0

    async def fetch(self, after: int) -> list[FollowedMessage]:
        """Return the next messages; none came within a second when it is empty.

        Raises: GapError when a message later than `after` may be missing, TemporarilyUnavailable.
        """
        try:
            try:
                found = await self._subscription.fetch(FETCHED_MAX, timeout=FETCH_S)
            except TimeoutError:
                found = []
                await self._subscription.consumer_info()  # raises when the server has lost it
        except NotFoundError as error:
            raise GapError("the consumer is gone") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise TemporarilyUnavailable(in_words(error)) from error
        ends = await read_ends(self._client)  # after the messages: what was dropped before them shows
        if ends.stream != self._stream or ends.first > after + 1:
            raise GapError("the stream dropped messages")
        return [self._message(message) for message in found]

    async def has_all(self) -> bool:
        """Whether every message that the stream holds for this reader was fetched. Raises TemporarilyUnavailable."""
        try:
            info = await self._subscription.consumer_info()
        except (NatsError, TimeoutError, OSError) as error:
            raise TemporarilyUnavailable(in_words(error)) from error
        delivered = info.delivered.consumer_seq if info.delivered else 0
        return info.num_pending == 0 and delivered == self._received

    async def close(self) -> None:
        """Leave; the server forgets the consumer by itself."""
        try:
            await self._subscription.unsubscribe()
        except (NatsError, TimeoutError, OSError):
            return

    def _message(self, message: Msg) -> FollowedMessage:
        sequence = message.metadata.sequence
        if sequence.consumer != self._received + 1:
            raise GapError("a message was lost on its way")
        self._received = sequence.consumer
        headers = message.headers or {}
        events = [FollowedEvent(*row) for row in _decode(message.data)]
        return FollowedMessage(
            sequence.stream, int(headers[TRANSACTION_HEADER]), int(headers[POSITION_HEADER]), events
        )


async def open_reading(client: Client, ends: StreamEnds, subjects: Sequence[str], after: int) -> Reading:
    """Return a reader of these subjects from the message after `after` on. Raises TemporarilyUnavailable."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        ack_policy=AckPolicy.NONE,
        filter_subjects=list(subjects),
        inactive_threshold=FORGOTTEN_AFTER_S,
        mem_storage=True,
    )
    try:
        context = client.jetstream()
        consumer = await context.add_consumer(STREAM, config)
        subscription = await context.pull_subscribe_bind(consumer=consumer.name, stream=STREAM)
    except (NatsError, TimeoutError, OSError) as error:
        raise TemporarilyUnavailable(in_words(error)) from error
    return Reading(client, subscription, ends)
