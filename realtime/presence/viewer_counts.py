"""Viewer counts: how many connections read the channels of each viewer group, never whose they are.

A viewer group is what viewers are counted for: the channels of one auction form one group. Nothing is kept per viewer
and nothing is done when a connection subscribes or unsubscribes. Every two seconds the channels of this process are
asked how many readers they have, and counts that changed are written to the store that all processes share. Counts are
repeated; those of a killed process expire in the store. Source: decision 0067.
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

REPORT_S = 2.0
"""Between two looks at the channels: the age that a count may have in another process."""

ANSWER_S = 1.0
"""How long an answer of the store is reused: ten thousand clients that ask about one group cost one query a second."""

_BATCH = 500
_CHANNELS_AT_ONCE = 2_000
"""Channels looked at per turn of the event loop: less than a millisecond."""

_Seen = tuple[tuple[int, ...], int]
"""How many readers each audience of a group had, and how many different connections those were."""


class ViewerCounts:
    """The viewer groups of one hub's channels."""

    def __init__(
        self,
        store: ViewerCountStore,
        context: HubContext,
        channels: Mapping[str, Channel],
        group_of: Callable[[str], str | None],
    ) -> None:
        """Start with nothing reported; `channels` is the hub's own mapping, which changes."""
        self._store, self._context, self._channels = store, context, channels
        self.group_of = group_of
        """Returns the viewer group of a channel, or None."""
        self._reported: dict[str, _Seen] = {}
        self._answers: dict[str, tuple[float, asyncio.Task[int]]] = {}

    async def watch(self) -> None:
        """Report changed counts every `REPORT_S`, and all counts every `presence_repeat_s`, for ever."""
        repeated_s = self._context.loop.time()
        while True:
            await asyncio.sleep(REPORT_S)
            now_s = self._context.loop.time()
            self._answers = {group: one for group, one in self._answers.items() if now_s - one[0] < ANSWER_S}
            everything = now_s - repeated_s >= self._context.limits.presence_repeat_s
            if everything:
                repeated_s = now_s
            await self.report(everything=everything)

    async def report(self, *, everything: bool = False) -> None:
        """Write the count of each group whose count changed, or of all groups."""
        known = {} if everything else self._reported
        seen = {group: _look(known.get(group), found) for group, found in (await self._collect()).items()}
        changes = {group: one[1] for group, one in seen.items() if known.get(group, ((), 0))[1] != one[1]}
        changes |= dict.fromkeys(self._reported.keys() - seen.keys(), 0)
        self._reported = seen
        await self._write(changes)

    async def count(self, group: str) -> int:
        """Return the viewers of a group in all processes, a few seconds old. Raises what the store raises."""
        now_s = self._context.loop.time()
        known = self._answers.get(group)
        if known is None or now_s - known[0] >= ANSWER_S:
            known = self._answers[group] = (now_s, self._context.loop.create_task(self._store.count(group)))
        return await asyncio.shield(known[1])

    async def finish(self, within_s: float) -> None:
        """Set all counts of this process to zero, within a bounded time; what remains expires in the store."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._write(dict.fromkeys(self._reported, 0))

    async def _collect(self) -> dict[str, list[Audience]]:
        """Return the audiences of each group that have readers."""
        found: dict[str, list[Audience]] = {}
        for number, (name, channel) in enumerate(list(self._channels.items()), 1):
            group = self.group_of(name)
            audiences = [one for one in channel.audiences() if one] if group is not None else None
            if group is not None and audiences:
                found.setdefault(group, []).extend(audiences)
            if number % _CHANNELS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    async def _write(self, changes: Mapping[str, int]) -> None:
        rest = iter(changes.items())
        while batch := dict(islice(rest, _BATCH)):
            try:
                await self._store.set_counts(batch)
            except Exception as error:  # noqa: BLE001 - whatever the store raises; the next report writes it again
                _log.warning("%d viewer counts are lost: %s", len(batch), error)
                for group in batch:
                    self._reported.pop(group, None)


def _look(known: _Seen | None, audiences: Sequence[Audience]) -> _Seen:
    """Return how many readers a group has; a connection that reads two of its channels counts once."""
    lengths = tuple(map(len, audiences))
    if len(audiences) == 1:
        return lengths, lengths[0]
    if known is not None and known[0] == lengths:
        return known
    return lengths, len({reader for audience in audiences for reader in audience.readers()})
