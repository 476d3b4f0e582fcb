"""The relay: tails the events table, stores events and facts in JetStream, announces stream heads.

It reads in whole transactions, in the order of their commits, moves its position only after JetStream acknowledged, and
so sends everything at least once. Killed anywhere, it sends the last batch again in the same messages; JetStream drops
those it has (message ids), server processes ignore heads they know. One worker relays at a time; another takes over
when its transaction ends.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog

from protocols.errors import Fault
from protocols.values import now_instant
from storage.engines.nats import Client, NatsLink
from storage.engines.postgres import Database
from storage.platform.events_postgres import FACTS
from storage.platform.relay_postgres import claim_relay_batch, move_relay
from storage.platform.streams_nats import EventStream, announce_heads

BATCH_EVENTS = 5_000
"""Events per step; one transaction that is larger goes whole."""

PAUSE_S = 0.04
"""Wait between steps: what gathers meanwhile shares one, and a repair waits no longer for its announcement."""

SETTINGS_AGAIN_S = 60.0
"""How long a stream that has less than it shall have, or whose settings were refused, stays so until the next try."""

RETRY_S = 0.5
"""Wait after a step that failed."""

_log = structlog.get_logger()


class Relay:
    """The relay of one worker process."""

    def __init__(
        self, database: Database, nats: NatsLink, yield_to_urgent: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Prepare; `run` works until cancelled. `yield_to_urgent` waits while others must be on time."""
        self._database = database
        self._nats = nats
        self._yield_to_urgent = yield_to_urgent
        self._stream: EventStream | None = None
        self._is_prepared = False
        self._prepare_again_at = self._prepare_idle_at = 0.0
        self._refused = ""
        self.stream_bytes_max = 0
        """Disk that the stream may take; 0 while that is not known."""
        self.lag_ms = 0
        """Age of the oldest event of the last step when it was sent."""

    async def run(self) -> None:
        """Relay until cancelled; faults are retried."""
        while True:
            try:
                if self._yield_to_urgent is not None:
                    await self._yield_to_urgent()
                if await self.step() < BATCH_EVENTS:
                    await self._prepare_idle()
                    await asyncio.sleep(PAUSE_S)
            except Fault as fault:
                _log.warning("relay_waits", reason=fault.detail)
                self._is_prepared = False  # a NATS that lost its disk has lost the stream too
                await asyncio.sleep(RETRY_S)
            except Exception:  # noqa: BLE001 - the relay outlives any bug; it is logged and tried again
                _log.exception("relay_failed")
                await asyncio.sleep(RETRY_S)

    async def step(self) -> int:
        """Send the next batch; return how many events it had (0: nothing new, or another worker relays)."""
        started = time.monotonic()
        async with self._database.transaction() as db:
            batch = await claim_relay_batch(db, BATCH_EVENTS)
            if batch is None or not batch.events:
                self.lag_ms = 0
                return 0
            self.lag_ms = now_instant() - min(e.at_ms for e in batch.events)  # also while NATS takes none
            stream = await self._prepared(self._nats.client)
            heads = {e.stream: e.number for e in batch.events if not e.stream.startswith(FACTS)}
            await announce_heads(stream.client, heads)
            await stream.publish(batch)
            await move_relay(db, batch.next_position)
        self.lag_ms = now_instant() - min(e.at_ms for e in batch.events)
        _log.debug("relayed", events=len(batch.events), seconds=round(time.monotonic() - started, 4))
        return len(batch.events)

    async def _prepared(self, client: Client) -> EventStream:
        """Return the stream of this connection, with its settings up to date since the last fault."""
        if self._stream is None or self._stream.client is not client:
            self._stream, self._is_prepared = EventStream(client), False
        if self._is_due():
            self._prepare_again_at = time.monotonic() + SETTINGS_AGAIN_S
            self.stream_bytes_max, refused = await self._stream.prepare()
            if refused and refused != self._refused:
                _log.error("stream_settings_refused", reason=refused, max_bytes=self.stream_bytes_max)
            self._refused = refused
            self._is_prepared = True
        return self._stream

    def _is_due(self) -> bool:
        return not self._is_prepared or (bool(self._refused) and time.monotonic() > self._prepare_again_at)

    async def _prepare_idle(self) -> None:
        """Have the stream there with all its settings, also while there is nothing to send."""
        if self._is_due() and time.monotonic() > self._prepare_idle_at:
            self._prepare_idle_at = time.monotonic() + RETRY_S
            with contextlib.suppress(Fault):
                await self._prepared(self._nats.client)
