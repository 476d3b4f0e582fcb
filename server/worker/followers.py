"""Followers: copies of events and facts elsewhere (a search index, analytics, other systems), from number 1 on.

A follower reads the history from PostgreSQL, then the messages of JetStream, and comes back to PostgreSQL whenever
JetStream cannot tell the whole: it was wiped, it dropped old messages, it is away. The two meet without a gap: the
stream's last message is noted first, then the table is read until everything that could be in the stream by then was
read, and the stream is read from the message after the noted one.

`apply` gets events in the order of their commits, those of one stream ascending. It gets some again after a death
between it and the saved position, so it writes by version: an event whose number is not above what the copy has of the
stream changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from msgspec import Raw

from protocols.errors import Fault
from protocols.values import now_instant
from storage.engines.nats import NatsLink
from storage.engines.postgres import Database
from storage.platform.followed_nats import (
    FollowedEvent,
    FollowedMessage,
    GapError,
    Reading,
    StreamEnds,
    open_reading,
    read_ends,
)
from storage.platform.followers_postgres import Position, read_follower, save_follower
from storage.platform.relay_postgres import CommittedBatch, read_committed, read_relay_position
from storage.platform.streams_nats import subject_of

HISTORY_EVENTS = 2_000
"""Events read from PostgreSQL at a time, of all subjects: about 20 ms."""

LOOK_EVERY_S = 1.0
"""How often PostgreSQL is looked at while NATS is away."""

SAVE_IDLE_EVERY_S = 30.0
"""How often a follower that gets no events saves how far it is: what it need not read again."""

Apply = Callable[[Sequence[FollowedEvent]], Awaitable[None]]
"""Copies events; when it returns, they are there for good."""

_log = structlog.get_logger()


class Follower:
    """One copy. One process runs it at a time: two would do everything twice, and no harm."""

    def __init__(
        self, name: str, subjects: Sequence[str], apply: Apply, database: Database, nats: NatsLink
    ) -> None:
        """Prepare; `run` works until cancelled.

        `subjects` are those of `storage.platform.streams_nats`: `events.listings`, `facts.auctions` …
        """
        self._name = name
        self._subjects = frozenset(subjects)
        self._apply = apply
        self._database = database
        self._nats = nats
        self._position = Position()
        self.lag_ms = 0
        """Age of the last event when it was copied."""

    async def run(self) -> None:
        """Follow until cancelled; faults are retried."""
        async with self._database.connection() as db:
            self._position = await read_follower(db, self._name)
        while True:
            try:
                ends = await self._ends()
                await self._catch_up(ends)
                if ends is None:
                    await asyncio.sleep(LOOK_EVERY_S)
                else:
                    await self._follow(ends)
            except GapError as gap:
                _log.info("follower_reads_history", follower=self._name, reason=str(gap))
            except Fault as fault:
                _log.warning("follower_waits", follower=self._name, reason=fault.detail)
                await asyncio.sleep(LOOK_EVERY_S)
            except Exception:  # noqa: BLE001 - a follower outlives any fault of its copy; it is logged and tried again
                _log.exception("follower_failed", follower=self._name)
                await asyncio.sleep(LOOK_EVERY_S)

    async def _ends(self) -> StreamEnds | None:
        """Return what JetStream holds, None while it does not answer."""
        try:
            return await read_ends(self._nats.client)
        except Fault:
            return None

    # -- PostgreSQL -------------------------------------------------------------------------------------------------

    async def _catch_up(self, ends: StreamEnds | None) -> None:
        """Read the history as far as the stream was told when `ends` were noted, unless the stream has it all."""
        position = self._position
        if ends is not None and position.stream == ends.stream and ends.first <= position.sequence + 1:
            return
        while True:
            async with self._database.connection() as db:
                batch = await read_committed(db, self._position.transaction_id, HISTORY_EVENTS)
            reached = Position(batch.next_position)
            if batch.is_last and ends is not None:
                reached = Position(batch.next_position, ends.stream, ends.last)
            await self._copy(self._wanted(batch), reached)
            if batch.is_last:
                return

    def _wanted(self, batch: CommittedBatch) -> list[FollowedEvent]:
        return [
            FollowedEvent(e.stream, e.number, e.at_ms, e.type, Raw(e.data.encode()))
            for e in batch.events
            if subject_of(e.stream) in self._subjects
        ]

    # -- JetStream --------------------------------------------------------------------------------------------------

    async def _follow(self, ends: StreamEnds) -> None:
        """Read messages until some are missing. Raises GapError, Fault."""
        reading = await open_reading(self._nats.client, ends, sorted(self._subjects), self._position.sequence)
        idle_since = now_instant()
        try:
            while True:
                messages = await reading.fetch(self._position.sequence)
                if messages:
                    await self._copy_messages(messages)
                    idle_since = now_instant()
                elif now_instant() - idle_since > SAVE_IDLE_EVERY_S * 1000:
                    await self._save_idle(reading)
                    idle_since = now_instant()
        finally:
            await reading.close()

    async def _copy_messages(self, messages: Sequence[FollowedMessage]) -> None:
        known, last = self._position.transaction_id, messages[-1]
        events = [
            event for message in messages if message.transaction_id >= known for event in message.events
        ]
        reached = Position(max(known, last.position), self._position.stream, last.sequence)
        await self._copy(events, reached)

    async def _save_idle(self, reading: Reading) -> None:
        """Move on although nothing came: what the relay had sent by now is in the stream, and none of it was for us."""
        async with self._database.connection() as db:
            relayed = await read_relay_position(db)
        ends = await read_ends(self._nats.client)
        if ends.stream == self._position.stream and await reading.has_all():
            transaction_id = max(self._position.transaction_id, relayed)
            await self._copy((), Position(transaction_id, ends.stream, ends.last))

    async def _copy(self, events: Sequence[FollowedEvent], reached: Position) -> None:
        """Hand events over and remember that; killed in between, they come again."""
        if events:
            await self._apply(events)
            self.lag_ms = now_instant() - events[-1].at_ms
        if reached != self._position:
            async with self._database.connection() as db:
                await save_follower(db, self._name, reached)
            self._position = reached
