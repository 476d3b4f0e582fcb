"""Who of this process is in which channel, told to the store of all processes.

Changes are sent in the background, in order and in batches; while anybody is here that is repeated every so often, so
what a killed process leaves behind disappears by itself. Questions wait for this process' own changes first.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from itertools import islice

from realtime.channels.channel import HubContext
from realtime.ports import Presence, PresenceChange

_log = logging.getLogger(__name__)

_BATCH = 500


class PresenceTracker:
    """The present clients of one hub."""

    def __init__(self, store: Presence, context: HubContext) -> None:
        """Start with nobody."""
        self._store, self._context = store, context
        self._here: dict[tuple[str, str], PresenceChange] = {}
        self._changes: list[PresenceChange] = []
        self._sending: asyncio.Task[None] | None = None

    def enter(self, channel: str, client: str, user: str, info: bytes) -> None:
        """A client came; `info` is its ClientInfo as JSON."""
        change = self._here[channel, client] = PresenceChange(channel, client, user, info)
        self._change(change)

    def leave(self, channel: str, client: str) -> None:
        """A client went."""
        known = self._here.pop((channel, client), None)
        if known is not None:
            self._change(known._replace(info=None))

    async def members(self, channel: str, limit: int) -> Mapping[str, bytes] | None:
        """Return who is in the channel, or None when more than `limit` are. Raises what the store raises."""
        await self.settled()
        return await self._store.members(channel, limit)

    async def count(self, channel: str) -> tuple[int, int]:
        """Return how many clients and users are in the channel. Raises what the store raises."""
        await self.settled()
        return await self._store.count(channel)

    async def settled(self) -> None:
        """Return when the store knows, or refused, everything told so far."""
        if self._sending is not None:
            await asyncio.shield(self._sending)

    async def repeat(self) -> None:
        """Tell the store again and again who is here."""
        while True:
            await asyncio.sleep(self._context.limits.presence_repeat_s)
            for batch in _batches(list(self._here.values())):
                # Who left since the list was made must not come back.
                self._changes += [change for change in batch if self._here.get(change[:2]) is change]
                self._send_soon()
                await self.settled()

    def _change(self, change: PresenceChange) -> None:
        self._changes.append(change)
        self._send_soon()

    def _send_soon(self) -> None:
        if self._sending is None and self._changes:
            self._sending = self._context.start(self._send())

    async def _send(self) -> None:
        try:
            await asyncio.sleep(0)  # gather what this tick brings
            while self._changes:
                changes, self._changes = self._changes, []
                for batch in _batches(changes):
                    try:
                        await self._store.apply(batch)
                    except Exception as error:  # noqa: BLE001 - whatever the store raises; repeating repairs it
                        _log.warning("%d changes of presence are lost: %s", len(batch), error)
        finally:
            self._sending = None

    async def finish(self, within_s: float) -> None:
        """Let the last changes out; the store forgets the rest by itself."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.settled()


def _batches(changes: list[PresenceChange]) -> Iterator[list[PresenceChange]]:
    rest = iter(changes)
    while batch := list(islice(rest, _BATCH)):
        yield batch
