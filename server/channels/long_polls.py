"""Wakes long polls: the hub keeps their channels open and reports each publication."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protocols.topics import Entry
from realtime.channels.channel import Channel
from realtime.hub import Hub
from realtime.ports import Lane


class LongPollNotifier:
    """Watches replayed channels for the long polls of one process."""

    def __init__(self, hub: Hub) -> None:
        """Listen to every replayed channel the hub has open."""
        self._hub = hub
        self._events: dict[str, set[asyncio.Event]] = {}
        hub.observe("", self._wake)

    @asynccontextmanager
    async def watch(self, name: str) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set at every publication of the channel from now on."""
        channel: Channel = await self._hub.open(name, Lane.REPLAYED)
        event = asyncio.Event()
        self._events.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            watchers = self._events[name]
            watchers.discard(event)
            if not watchers:
                del self._events[name]
            self._hub.release(channel)

    def _wake(self, name: str, _entry: Entry) -> None:
        for event in self._events.get(name, ()):
            event.set()
