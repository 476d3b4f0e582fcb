"""Says which grouped commands this process has received and not committed, for those who must not overtake them.

A bid is judged by its receipt, but it must be committed before the closing. Within the grace of a closing (25 ms) that
is so when commits keep up; when bids queue for longer it is not, and then those who close have to know. Nothing is
said, and nothing costs, while no command waits for longer than `LOOK_MS`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from handlers.contract import Call, Route
from protocols.values import now_instant
from server.commands.group_commit import GroupCommit
from storage.engines.redis import Redis
from storage.platform.backlog_redis import BacklogStore

LOOK_MS = 10
"""How long a bid may wait before it is spoken of, and how often one looks: twice this is less than the grace."""

REPEAT_MS = 50
"""How long what was said stays as it is when no other auctions have bids that wait: a closing then waits that much
longer at most, and a busy process spares four round trips of five."""


class Backlog:
    """The commands of one group commit that are not settled."""

    def __init__(
        self, group: GroupCommit[Call[Any], Any], store: BacklogStore, aggregate_of: Callable[[Any], UUID]
    ) -> None:
        """Watch a group; `run` works until cancelled."""
        self._group = group
        self._aggregate_of = aggregate_of
        self._store = store
        self._newest: dict[UUID, int] = {}
        """The receipt of the newest bid of each auction that may wait; older ones are found by the oldest of all."""
        self._seen: Call[Any] | None = None
        self._told = False
        self._told_at_ms = 0
        self._told_of: frozenset[UUID] = frozenset()

    async def run(self) -> None:
        """Speak while bids wait."""
        while True:
            if not self._told:
                await self._group.busy()
            await asyncio.sleep(LOOK_MS / 1000)
            await self.look(now_instant())

    async def look(self, now_ms: int) -> None:
        """Say what waits now, or that nothing does any more."""
        oldest = self._group.oldest
        if oldest is None or now_ms - oldest.at_ms < LOOK_MS:
            self._newest.clear()
            self._seen = None
            if self._told:
                self._told = False
                await self._store.clear()
            return
        self._note(oldest.at_ms)
        if self._told and now_ms - self._told_at_ms < REPEAT_MS and self._told_of.issuperset(self._newest):
            return
        self._told, self._told_at_ms, self._told_of = True, now_ms, frozenset(self._newest)
        await self._store.tell(now_ms, oldest.at_ms, self._told_of)

    def _note(self, oldest_ms: int) -> None:
        """Bring `_newest` up to date. Cost: 0.2 µs for every bid that came since the last time."""
        fresh: dict[UUID, int] = {}
        seen = self._seen
        for call in self._group.newest_first():
            if call is seen:
                break
            if not fresh:
                self._seen = call
            fresh.setdefault(self._aggregate_of(call.command), call.at_ms)
        self._newest |= fresh
        for auction_id in [i for i, at_ms in self._newest.items() if at_ms < oldest_ms]:
            del self._newest[auction_id]


async def watch_backlog(
    groups: Mapping[str, GroupCommit[Call[Any], Any]], routes: Sequence[Route], redis: Redis, process: str
) -> None:
    """Speak of the commands of a process that wait, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for route in routes:
            if route.aggregate_of is not None:
                store = BacklogStore(redis, process, route.name)
                tasks.create_task(Backlog(groups[route.name], store, route.aggregate_of).run())
