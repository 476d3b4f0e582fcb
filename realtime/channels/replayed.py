"""A replayed channel on this process: every number exactly once, in order, to every subscriber.

`head` is the last number sent to the readers; the ring ends at `head`. The bus is best effort and two processes may
publish at the same time, so a number that does not follow `head` is held for a moment; then the log fills the gap.
Numbers are never skipped: while the log is out of reach the gap is retried. Readers are added at `head` in one step
after their recovery was read, so nothing is buffered per subscriber.
"""

import asyncio
import logging
from collections.abc import Sequence

from realtime.channels.channel import Channel, HubContext
from realtime.channels.fanout import PLAIN, Style
from realtime.channels.publication import Publication
from realtime.channels.ring import Ring
from realtime.ports import Entry, Lane
from realtime.transport.writer import Writer

_log = logging.getLogger(__name__)


class ReplayedChannel(Channel):
    """Order, gaps and recovery of one channel."""

    __slots__ = (
        "_asking",
        "_covering",
        "_filling",
        "_gap_timer",
        "_held",
        "_wanted",
        "head",
        "ring",
        "target",
    )

    lane = Lane.REPLAYED

    def __init__(self, name: str, context: HubContext) -> None:
        """Start with an unknown head."""
        super().__init__(name, context)
        self.head = -1
        self.target = -1
        """The highest number known to exist."""
        self.ring: Ring | None = None
        self._held: dict[int, Entry] | None = None
        """Publications that arrived before an earlier one."""
        self._gap_timer: asyncio.TimerHandle | None = None
        self._filling: asyncio.Task[None] | None = None
        self._covering: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[int] | None = None
        self._wanted = 0
        """The offset to which `_covering` extends the ring."""

    # Publications in.

    def opened(self, head: int) -> None:
        """Begin after the newest number of the log."""
        self.head = head
        self.target = max(self.target, head)
        if self._held:
            self._held = {number: entry for number, entry in self._held.items() if number > head}
        self._drain()

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Take entries of one commit from the bus, in any order, any number of times."""
        for entry in entries:
            number = entry.number
            if number == self.head + 1 and self.head >= 0:
                self._append(entry)
            elif not number:
                self.context.fanout.publish_presence(self.audience, entry)
            elif number > self.head:
                self._hold(entry)
            else:
                self.context.counters.duplicates += 1
        if self._held and self.head >= 0:
            self._drain()

    def announce(self, number: int, wait_s: float) -> None:
        """The channel reached `number` somewhere; if it does not come by itself the log is asked."""
        self.target = max(self.target, number)
        if self.head >= 0 and self.target > self.head:
            self._watch(wait_s)

    async def reach(self, number: int) -> None:
        """Return when `head` is at least `number`, which exists."""
        self.target = max(self.target, number)
        while self.head < number:
            if self._filling is None:
                self._fill_soon()
            assert self._filling is not None
            await asyncio.shield(self._filling)

    def _append(self, entry: Entry) -> None:
        """Pass the next number to readers, ring and observers."""
        publication = Publication(entry)
        self.head = entry.number
        if self.target < entry.number:  # noqa: PLR1730 - a call of max() on the hottest path
            self.target = entry.number
        if self.ring is None:
            self.ring = Ring(self.context.limits.ring_entries_max, self.context.limits.ring_bytes_max)
        self.ring.append(publication)
        self.context.counters.publications += 1
        if self.audience:
            self.context.fanout.publish(self.audience, publication)
        for prefix, observer in self.context.observers:
            if self.name.startswith(prefix):
                try:
                    observer(self.name, entry)
                except Exception:  # noqa: BLE001 - an observer must not stop what it observes
                    _log.exception("an observer failed on channel %s", self.name)

    def _hold(self, entry: Entry) -> None:
        if self._held is None:
            self._held = {}
        if entry.number in self._held:
            self.context.counters.duplicates += 1
        elif len(self._held) < self.context.limits.held_max:
            self._held[entry.number] = entry
        self.target = max(self.target, entry.number)

    def _drain(self) -> None:
        """Append held entries that follow `head` now; start the timer when a gap remains."""
        held = self._held
        if held:
            while (entry := held.pop(self.head + 1, None)) is not None:
                self._append(entry)
            if not held:
                self._held = None
        if self.target > self.head:
            self._watch(self.context.limits.gap_wait_s)

    # Gaps.

    def _watch(self, wait_s: float) -> None:
        if self._gap_timer is None and self._filling is None:
            self._gap_timer = self.context.loop.call_later(wait_s, self._fill_soon)

    def _fill_soon(self) -> None:
        if self._gap_timer is not None:
            self._gap_timer.cancel()
            self._gap_timer = None
        if self._filling is None and self.target > self.head:
            self._filling = self.context.start(self._fill())

    async def _fill(self) -> None:
        """Read from the log until `target` is reached; retry for ever, never skip."""
        limits = self.context.limits
        delay_s = limits.retry_min_s
        try:
            while self.target > self.head:
                before = self.head
                try:
                    async with self.context.fill_slots:
                        entries = await self.context.log.read(self.name, before, limits.page_entries)
                except Exception:  # noqa: BLE001 - whatever the log raises, it is asked again
                    self.context.counters.log_failures += 1
                    _log.warning("the log is out of reach, channel %s waits at %d", self.name, before)
                    entries = []
                for entry in entries:
                    if entry.number == self.head + 1:
                        self._append(entry)
                        self.context.counters.gap_fills += 1
                        if self._held:
                            self._held.pop(entry.number, None)
                if self._held:
                    self._drain()
                if self.head > before:
                    delay_s = limits.retry_min_s
                else:
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, limits.retry_max_s)
        finally:
            self._filling = None

    # Recovery.

    def is_prepared(self, offset: int) -> bool:
        """Whether `prepare` has nothing to do."""
        unreachable = self.head - offset > self.context.limits.ring_entries_max
        return offset <= self.head and (unreachable or self._covers(offset))

    async def prepare(self, offset: int) -> None:
        """Make `since(offset)` possible: learn of numbers up to `offset`, and extend the ring back to it.

        Raises: whatever the log raises. Concurrent callers share the reads.
        """
        if offset > self.head:
            # Another process may have sent the client a number that has not arrived here yet.
            newest = await self._ask_newest(offset)
            if newest > self.head:
                await self.reach(newest)
        while not self._covers(offset) and self.head - offset <= self.context.limits.ring_entries_max:
            if self.ring is not None and self.ring.full():
                return
            before = self._first()
            self._wanted = min(self._wanted, offset) if self._covering else offset
            if self._covering is None:
                self._covering = self.context.start(self._cover())
            await asyncio.shield(self._covering)
            if self._first() >= before and not self._covers(offset):
                return  # the log does not reach back that far

    async def _ask_newest(self, offset: int) -> int:
        """Return the log's newest number, as of now or later; concurrent callers share the query."""
        while True:
            joined = self._asking
            if joined is None:
                self._asking = self.context.loop.create_task(self._ask())
            assert self._asking is not None
            newest = await asyncio.shield(self._asking)
            if newest >= offset or joined is None:
                return newest
            # The query had begun before this call, so its answer may be older than the offset: query once more.
            offset = 0

    async def _ask(self) -> int:
        try:
            return (await self.context.log.heads([self.name])).get(self.name, 0)
        finally:
            self._asking = None

    def since(self, offset: int) -> list[Publication] | None:
        """Return every publication after `offset`, or None when that is impossible or too much for one reply."""
        limits = self.context.limits
        if offset > self.head or self.head - offset > limits.ring_entries_max or not self._covers(offset):
            return None
        missed = self.ring.after(offset) if self.ring else []
        if sum(len(publication.json) for publication in missed) > limits.ring_bytes_max:
            return None
        return missed

    def _first(self) -> int:
        """Return the oldest number in memory, or the one that comes next."""
        return self.ring.first if self.ring and self.ring.items else self.head + 1

    def _covers(self, offset: int) -> bool:
        return offset + 1 >= self._first()

    async def _cover(self) -> None:
        """Extend the ring backwards, page by page, towards `_wanted`."""
        limits = self.context.limits
        try:
            while not self._covers(self._wanted):
                if self.ring is None:
                    self.ring = Ring(limits.ring_entries_max, limits.ring_bytes_max)
                if self.ring.full():
                    return
                before = self._first()
                entries = await self.context.log.read_backward(self.name, before, limits.page_entries)
                older: list[Publication] = []
                for entry in entries:
                    if entry.number != before - len(older) - 1:
                        break
                    older.append(Publication(entry))
                if not older:
                    return
                if before == self._first():
                    self.ring.prepend(older[::-1])
        finally:
            self._covering = None

    # Readers.

    def add(self, writer: Writer, style: Style = PLAIN, base: Publication | None = None) -> None:
        """Add a reader at `head`; its subscribe reply has what it missed, or says that it was not recovered.

        `base`: the publication at `head`, when a reader with delta has got that one.
        """
        self.context.fanout.settle(self.audience)
        self.audience.add(writer, style, base)

    def remove(self, writer: Writer) -> None:
        """Remove a reader; publications of this tick are still sent to it."""
        self.context.fanout.settle(self.audience)
        self.audience.discard(writer)

    def in_use(self) -> bool:
        """Whether it has readers or pins."""
        return bool(self.pins or self.audience)

    def close(self) -> None:
        """Stop timers and tasks."""
        if self._gap_timer is not None:
            self._gap_timer.cancel()
        for task in (self._filling, self._covering):
            if task is not None:
                task.cancel()
