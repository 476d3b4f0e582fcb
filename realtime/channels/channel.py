"""What replayed and latest channels share: readers, pins, readiness; and the parts of the hub that they use."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from realtime.channels.fanout import Audience, Fanout
from realtime.limits import Limits
from realtime.ports import Entry, Lane, Log
from realtime.transport.writer import Counters, Writer

Observer = Callable[[str, Entry], None]


class HubContext:
    """The parts of a hub that its channels and trackers use."""

    def __init__(self, log: Log, fanout: Fanout, limits: Limits, counters: Counters) -> None:
        """Keep the parts."""
        self.log, self.fanout, self.limits, self.counters = log, fanout, limits, counters
        self.loop = fanout.loop
        self.fill_slots = asyncio.Semaphore(limits.fills_at_once)
        self.observers: list[tuple[str, Observer]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.push_ids = count(1)

    def start(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        """Run a coroutine in a task that is kept until it ends, and cancelled when the hub stops."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class Channel:
    """One channel of this process."""

    __slots__ = ("audience", "context", "idle_at_s", "name", "ping_s", "pins", "push_id", "ready")

    lane: Lane

    def __init__(self, name: str, context: HubContext) -> None:
        """Start without readers and not ready."""
        self.name, self.context = name, context
        self.push_id = next(context.push_ids)
        """The number that replaces the channel's name in pushes to clients that asked for compaction."""
        self.audience = Audience(name)
        self.ready: asyncio.Future[None] | None = context.loop.create_future()
        """Subscribers wait for it; None once the channel is open. It holds the error when opening failed."""
        self.pins = 0
        """Subscribes under way: the channel must not close."""
        self.ping_s = 0.0
        """How often its readers are pinged at least; 0 when they need no more than others."""
        self.idle_at_s = 0.0
        """Loop time at which it had no readers and no pins any more."""

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Take entries from the bus."""
        raise NotImplementedError

    def remove(self, writer: Writer) -> None:
        """Remove a reader; publications of this tick are still sent to it."""
        raise NotImplementedError

    def audiences(self) -> Sequence[Audience]:
        """Return the readers, grouped by how they are served."""
        return (self.audience,)

    def in_use(self) -> bool:
        """Whether it has readers or pins."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop timers and tasks."""
        raise NotImplementedError
