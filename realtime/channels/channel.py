"""What both lanes have in common: readers, pins, the moment a channel became ready; and the hub as they see it."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from realtime.channels.fanout import Audience, Fanout
from realtime.limits import Limits
from realtime.ports import Entry, Lane, Log
from realtime.transport.writer import Counters, Writer

Observer = Callable[[str, Entry], None]


class HubContext:
    """What a channel works with; one per hub."""

    def __init__(self, log: Log, fanout: Fanout, limits: Limits, counters: Counters) -> None:
        """Bundle the parts."""
        self.log, self.fanout, self.limits, self.counters = log, fanout, limits, counters
        self.loop = fanout.loop
        self.fill_slots = asyncio.Semaphore(limits.fills_at_once)
        self.observers: list[tuple[str, Observer]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.push_ids = count(1)

    def start(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        """Run work beside the event loop's callbacks and hold on to it."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class Channel:
    """One channel of this process."""

    __slots__ = ("audience", "context", "idle_at_s", "name", "pins", "push_id", "ready")

    lane: Lane

    def __init__(self, name: str, context: HubContext) -> None:
        """Start without readers and not ready."""
        self.name, self.context = name, context
        self.push_id = next(context.push_ids)
        """The number that names the channel to clients that offered compaction; the same for all of them."""
        self.audience = Audience(name)
        self.ready: asyncio.Future[None] | None = context.loop.create_future()
        """Set until the channel's state is known; subscribers wait for it."""
        self.pins = 0
        """Subscriptions under way: the channel must stay."""
        self.idle_at_s = 0.0
        """Loop time at which the last reader left."""

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Take entries from the bus."""
        raise NotImplementedError

    def remove(self, writer: Writer) -> None:
        """Let a reader go; what it had coming this tick still goes out."""
        raise NotImplementedError

    def audiences(self) -> Sequence[Audience]:
        """Return who reads, in the groups that are served alike."""
        return (self.audience,)

    def in_use(self) -> bool:
        """Whether anybody reads or is about to."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop timers and tasks."""
        raise NotImplementedError
