"""A latest channel on this process: only the newest value per key matters.

Readers are grouped by the interval of their rule. A group gets a value at once, then the newest one at most once per
interval, and always the last one. A group has one timer, and only while a value waits. A reader whose socket is full
gets nothing until the socket has drained, then the newest value of each key it missed.
"""

import asyncio
from collections.abc import Sequence

from realtime.channels.channel import Channel, HubContext
from realtime.channels.fanout import PLAIN, Audience, Style
from realtime.channels.publication import Publication
from realtime.ports import Entry, Lane
from realtime.transport.writer import Writer


class LatestGroup:
    """Readers of one latest channel that share an interval."""

    __slots__ = ("_shown", "_timer", "_waiting", "audience", "context", "interval_s")

    def __init__(self, channel: "LatestChannel", interval_s: float) -> None:
        """Start without readers."""
        self.context, self.interval_s = channel.context, interval_s
        self.audience = Audience(channel.name, channel.note_missed)
        self._shown: dict[str, tuple[float, Publication]] = {}
        """When each key was sent last, and which value."""
        self._waiting: dict[str, Publication] = {}
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, publication: Publication) -> None:
        """Send a newer value now, or when the interval of its key is over."""
        key, now_s = publication.key, self.context.loop.time()
        shown = self._shown.get(key)
        if shown is None or now_s - shown[0] >= self.interval_s:
            self._waiting.pop(
                key, None
            )  # its timer is late, and the value it would send is older than this one
            self._show(publication, now_s)
            return
        self._waiting[key] = publication
        if self._timer is None:
            self._timer = self.context.loop.call_at(shown[0] + self.interval_s, self._show_waiting)

    def visible(self, publication: Publication) -> Publication:
        """Return the value of this key that a new reader gets: a waiting one is sent later."""
        if publication.key in self._waiting:
            return self._shown[publication.key][1]
        return publication

    def _show(self, publication: Publication, now_s: float) -> None:
        if self.interval_s:
            self._shown[publication.key] = (now_s, publication)
        self.context.fanout.publish(self.audience, publication)

    def _show_waiting(self) -> None:
        """Send the values that are due; drop keys without a waiting value."""
        self._timer = None
        # Timers may run slightly before the instant they were set for.
        now_s = self.context.loop.time() + 0.001
        for key in [k for k in self._waiting if now_s - self._shown[k][0] >= self.interval_s]:
            self._show(self._waiting.pop(key), now_s)
        if self._waiting:
            next_s = min(self._shown[key][0] for key in self._waiting) + self.interval_s
            self._timer = self.context.loop.call_at(next_s, self._show_waiting)
        else:
            self._shown = {k: s for k, s in self._shown.items() if now_s - s[0] < self.interval_s}

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LatestChannel(Channel):
    """The newest values of one channel, and its readers by interval."""

    __slots__ = ("groups", "missed", "values")

    lane = Lane.LATEST

    def __init__(self, name: str, context: HubContext) -> None:
        """Start without a value."""
        super().__init__(name, context)
        self.values: dict[str, Publication] = {}
        self.groups: dict[int, LatestGroup] = {}
        self.missed: dict[Writer, set[str]] | None = None
        """Keys that changed while a reader's socket was full."""

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Take newer values; those older than a known one are dropped."""
        for entry in entries:
            if not entry.number:
                for group in self.groups.values():
                    self.context.fanout.publish_presence(group.audience, entry)
                continue
            known = self.values.get(entry.key)
            if known is not None:
                if entry.number <= known.number:
                    self.context.counters.duplicates += 1
                    continue
                del self.values[entry.key]  # the order of the dict is the order of change
            elif len(self.values) >= self.context.limits.values_max:
                del self.values[next(iter(self.values))]
            publication = Publication(entry)
            self.values[entry.key] = publication
            self.context.counters.publications += 1
            for group in self.groups.values():
                if group.audience:
                    group.offer(publication)

    def current(self, interval_ms: int) -> list[Publication]:
        """Return what a new reader gets, ascending by number."""
        group = self.groups.get(interval_ms)
        values = self.values.values()
        visible = [group.visible(value) for value in values] if group else list(values)
        return sorted(visible, key=lambda value: value.number)

    def top(self) -> int:
        """Return the highest number known; 0 without a value."""
        return max((value.number for value in self.values.values()), default=0)

    def add(self, writer: Writer, interval_ms: int, style: Style = PLAIN) -> None:
        """Add a reader."""
        group = self.groups.get(interval_ms)
        if group is None:
            group = self.groups[interval_ms] = LatestGroup(self, interval_ms / 1000)
        self.context.fanout.settle(group.audience)
        group.audience.add(writer, style)

    def remove(self, writer: Writer) -> None:
        """Remove a reader; publications of this tick are still sent to it."""
        if self.missed:
            self.missed.pop(writer, None)
        for interval_ms, group in list(self.groups.items()):
            self.context.fanout.settle(group.audience)
            group.audience.discard(writer)
            if not group.audience:
                group.close()
                del self.groups[interval_ms]

    def note_missed(self, writer: Writer, publications: list[Publication]) -> None:
        """Remember the keys that a reader with a full socket misses."""
        if self.missed is None:
            self.missed = {}
        self.missed.setdefault(writer, set()).update(publication.key for publication in publications)

    def catch_up(self, writer: Writer) -> None:
        """Send a reader whose socket has drained the newest value of each key it missed."""
        keys = self.missed.pop(writer, None) if self.missed else None
        newest = [self.values[key] for key in keys or () if key in self.values]
        if newest:
            newest.sort(key=lambda value: value.number)
            for group in self.groups.values():
                if frames := group.audience.encode_alone(writer, newest):
                    writer.send(frames)
            self.context.counters.deliveries += len(newest)

    def audiences(self) -> Sequence[Audience]:
        """Return the readers, by interval."""
        return [group.audience for group in self.groups.values()]

    def in_use(self) -> bool:
        """Whether it has readers or pins."""
        return bool(self.pins or self.groups)

    def close(self) -> None:
        """Stop timers."""
        for group in self.groups.values():
            group.close()
