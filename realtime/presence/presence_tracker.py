"""Presence: which clients of this process are in which channel, written to the store that all processes share.

Changes are written in the background, in order and in batches. Entries are repeated; those of a killed process expire
in the store. Queries wait until this process's own changes are written.
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
    """The presence of one hub's clients."""

    def __init__(self, store: Presence, context: HubContext) -> None:
        """Start with nobody."""
        self._store, self._context = store, context
        self._here: dict[tuple[str, str], PresenceChange] = {}
        self._changes: list[PresenceChange] = []
        self._sending: asyncio.Task[None] | None = None

    def join(self, channel: str, client: str, user: str, info: bytes) -> None:
        """Enter a client; `info` is its ClientInfo as JSON."""
        change = self._here[channel, client] = PresenceChange(channel, client, user, info)
        self._change(change)

    def leave(self, channel: str, client: str) -> None:
        """Remove a client."""
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
        """Return when all changes so far are written, or were refused by the store."""
        if self._sending is not None:
            await asyncio.shield(self._sending)

    async def repeat(self) -> None:
        """Write all entries again every `presence_repeat_s`, for ever."""
        while True:
            await asyncio.sleep(self._context.limits.presence_repeat_s)
            for batch in _batches(list(self._here.values())):
                # A client that left since the list was made must not be entered again.
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
            await asyncio.sleep(0)  # collect the changes of this tick
            while self._changes:
                changes, self._changes = self._changes, []
                for batch in _batches(changes):
                    try:
                        await self._store.apply(batch)
                    except Exception as error:  # noqa: BLE001 - whatever the store raises; the next repetition repairs it
                        _log.warning("%d changes of presence are lost: %s", len(batch), error)
        finally:
            self._sending = None

    async def finish(self, within_s: float) -> None:
        """Write the last changes, within a bounded time; what remains expires in the store."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.settled()


def _batches(changes: list[PresenceChange]) -> Iterator[list[PresenceChange]]:
    rest = iter(changes)
    while batch := list(islice(rest, _BATCH)):
        yield batch
