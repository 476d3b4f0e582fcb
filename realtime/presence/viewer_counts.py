"""How many follow each crowd's channels, told to the store of all processes; never who.

Nothing is kept per follower and nothing is done when one comes or goes: every couple of seconds the channels are asked
how many readers they have, and what changed is told. What a killed process had is not repeated and disappears.
Source: decision 0067.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from realtime.channels.channel import Channel, HubContext
from realtime.channels.fanout import Audience
from realtime.ports import ViewerCountStore

_log = logging.getLogger(__name__)

GATHER_S = 2.0
"""Between two looks at the channels: as old as a number can be that another process has."""

ANSWER_S = 1.0
"""How long an answer of the store is good: ten thousand who ask about one auction cost one question a second."""

_BATCH = 500
_CHANNELS_AT_ONCE = 2_000
"""Channels looked at before others have their turn: less than a millisecond."""

_Seen = tuple[tuple[int, ...], int]
"""How many readers each of a crowd's channels had, and how many that were together."""


class ViewerCounts:
    """The crowds of one hub's channels."""

    def __init__(
        self,
        store: ViewerCountStore,
        context: HubContext,
        channels: Mapping[str, Channel],
        group_of: Callable[[str], str | None],
    ) -> None:
        """Start with none; `channels` are the hub's own, as they come and go."""
        self._store, self._context, self._channels = store, context, channels
        self.group_of = group_of
        """Returns what the followers of a channel are counted for, or None."""
        self._told: dict[str, _Seen] = {}
        self._answers: dict[str, tuple[float, asyncio.Task[int]]] = {}

    async def watch(self) -> None:
        """Tell the store what changed, again and again, and now and then everything."""
        repeated_s = self._context.loop.time()
        while True:
            await asyncio.sleep(GATHER_S)
            now_s = self._context.loop.time()
            self._answers = {crowd: one for crowd, one in self._answers.items() if now_s - one[0] < ANSWER_S}
            everything = now_s - repeated_s >= self._context.limits.presence_repeat_s
            if everything:
                repeated_s = now_s
            await self.tell(everything=everything)

    async def tell(self, *, everything: bool = False) -> None:
        """Tell the store of each crowd whose size changed, or of all."""
        known = {} if everything else self._told
        seen = {crowd: _look(known.get(crowd), found) for crowd, found in (await self._gather()).items()}
        changes = {crowd: one[1] for crowd, one in seen.items() if known.get(crowd, ((), 0))[1] != one[1]}
        changes |= dict.fromkeys(self._told.keys() - seen.keys(), 0)
        self._told = seen
        await self._send(changes)

    async def count(self, crowd: str) -> int:
        """Return how many follow in all processes, a few seconds old. Raises what the store raises."""
        now_s = self._context.loop.time()
        known = self._answers.get(crowd)
        if known is None or now_s - known[0] >= ANSWER_S:
            known = self._answers[crowd] = (now_s, self._context.loop.create_task(self._store.count(crowd)))
        return await asyncio.shield(known[1])

    async def finish(self, within_s: float) -> None:
        """Take back what was told of followers here; the store forgets the rest by itself."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._send(dict.fromkeys(self._told, 0))

    async def _gather(self) -> dict[str, list[Audience]]:
        """Return whom the channels of each crowd have."""
        found: dict[str, list[Audience]] = {}
        for place, (name, channel) in enumerate(list(self._channels.items()), 1):
            crowd = self.group_of(name)
            audiences = [one for one in channel.audiences() if one] if crowd is not None else None
            if crowd is not None and audiences:
                found.setdefault(crowd, []).extend(audiences)
            if place % _CHANNELS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    async def _send(self, changes: Mapping[str, int]) -> None:
        rest = iter(changes.items())
        while batch := dict(islice(rest, _BATCH)):
            try:
                await self._store.tell(batch)
            except Exception as error:  # noqa: BLE001 - whatever the store raises; the next look tells it again
                _log.warning("%d sizes of crowds are lost: %s", len(batch), error)
                for crowd in batch:
                    self._told.pop(crowd, None)


def _look(known: _Seen | None, audiences: Sequence[Audience]) -> _Seen:
    """Return how many readers a crowd has; who reads two of its channels counts once."""
    lengths = tuple(map(len, audiences))
    if len(audiences) == 1:
        return lengths, lengths[0]
    if known is not None and known[0] == lengths:
        return known
    return lengths, len({reader for audience in audiences for reader in audience.readers()})
