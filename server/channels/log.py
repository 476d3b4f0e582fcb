"""The history behind replayed channels and the value behind latest ones, read from PostgreSQL for the realtime hub."""

from collections.abc import Sequence

from handlers.domain import ChannelKinds
from protocols.topics import Entry
from protocols.values import now_instant, to_json
from storage.engines.postgres import Database
from storage.platform.events_postgres import read_events, read_events_backward, read_heads


class ChannelLog:
    """`realtime.ports.Log` over the events table. Every method raises TemporarilyUnavailable while it is away."""

    def __init__(self, database: Database, epoch: str, kinds: ChannelKinds) -> None:
        """Serve the streams of one database, and latest values through the domains' readers."""
        self.epoch = epoch
        self._database = database
        self._kinds = kinds

    async def heads(self, channels: Sequence[str]) -> dict[str, int]:
        """Return the newest number of each channel, 0 where it has none. Cost: one query for all."""
        async with self._database.connection() as db:
            found = await read_heads(db, channels)
        return {channel: found.get(channel, 0) for channel in channels}

    async def read(self, channel: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries with number > after, ascending."""
        async with self._database.connection() as db:
            rows = await read_events(db, channel, after, limit)
        return [Entry(number, data.encode(), at_ms) for number, data, at_ms in rows]

    async def read_backward(self, channel: str, before: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries with number < before, descending."""
        async with self._database.connection() as db:
            rows = await read_events_backward(db, channel, before, limit)
        return [Entry(number, data.encode(), at_ms) for number, data, at_ms in rows]

    async def newest(self, channel: str) -> list[Entry]:
        """Return the current value of a latest channel, or nothing."""
        found = self._kinds.find(channel)
        read_newest = found[0].newest if found else None
        if found is None or read_newest is None:
            return []
        async with self._database.connection() as db:
            newest = await read_newest(db, found[1])
        return [] if newest is None else [Entry(newest[0], to_json(newest[1]), now_instant())]
