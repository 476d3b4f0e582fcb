"""The relay: tails the events table, stores events in JetStream, announces stream heads.

It reads in whole transactions and in an order that no later commit can precede, moves its position only after
JetStream acknowledged, and so sends everything at least once. Killed anywhere, it sends the last batch again;
JetStream drops what it has (message ids), server processes ignore heads they know. One worker relays at a time;
another takes over when its transaction ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from protocols.errors import Fault
from protocols.values import now_instant
from storage.engines.nats import NatsLink
from storage.engines.postgres import Database
from storage.platform.events_postgres import claim_relay_batch, move_relay
from storage.platform.streams_nats import announce_heads, prepare_stream, publish_events

BATCH_EVENTS = 5_000
"""Events per step; one transaction that is larger goes whole."""

PAUSE_S = 0.04
"""Wait between steps: what gathers meanwhile shares one, and a repair waits no longer for its announcement."""

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
        self._give_way = yield_to_urgent
        self.lag_ms = 0
        """Age of the oldest event of the last step when it was sent."""

    async def run(self) -> None:
        """Relay until cancelled; faults are retried."""
        prepared = False
        while True:
            try:
                if not prepared:
                    await prepare_stream(self._nats.client)
                    prepared = True
                if self._give_way is not None:
                    await self._give_way()
                if await self.step() < BATCH_EVENTS:
                    await asyncio.sleep(PAUSE_S)
            except Fault as fault:
                _log.warning("relay_waits", reason=fault.detail)
                prepared = False  # a NATS that lost its disk has lost the stream too
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
            await announce_heads(self._nats.client, {e.stream: e.number for e in batch.events})
            await publish_events(self._nats.client, batch.events)
            await move_relay(db, batch.next_position)
        self.lag_ms = now_instant() - min(e.at_ms for e in batch.events)
        _log.debug("relayed", events=len(batch.events), seconds=round(time.monotonic() - started, 4))
        return len(batch.events)
