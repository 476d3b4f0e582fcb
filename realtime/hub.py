"""All channels and connections of one process, the bus and the log behind them.

A channel opens with its first subscriber. The hub subscribes to the bus first and reads the newest number from the log
afterwards, so no commit is missed in between; channels that open at the same time share one query. A channel closes
some seconds after its last subscriber left. Publications that the bus lost show as gaps in the numbers. Four things
reveal a gap: the next publication, an announcement of the relay, the end of a bus outage, and a sweep that compares
every open channel with the log: slowly, and several times a second while the bus is silent. Values of latest channels
have no gaps: they are read anew while the bus is silent, and after an outage.
"""

import asyncio
import contextlib
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count, islice

from protocols.control import CONTROL_CHANNEL
from protocols.wire.centrifuge import DisconnectCode, UnsubscribeCode
from realtime.channels.channel import Channel, HubContext, Observer
from realtime.channels.fanout import Fanout
from realtime.channels.latest import LatestChannel
from realtime.channels.replayed import ReplayedChannel
from realtime.channels.vouching import Vouching
from realtime.delegations import DelegationIndex
from realtime.hooks import Hooks
from realtime.limits import Limits
from realtime.members import Member, MemberIndex
from realtime.ports import (
    JOIN,
    LEAVE,
    Bus,
    ChannelRule,
    Entry,
    Lane,
    Log,
    OffsetReportStore,
    Presence,
    ViewerCountStore,
)
from realtime.presence.offset_reports import OffsetReports
from realtime.presence.presence_tracker import PresenceTracker
from realtime.presence.viewer_counts import ViewerCounts
from realtime.transport.admission import Admission
from realtime.transport.heartbeat import Wheel
from realtime.transport.writer import Counters

_log = logging.getLogger(__name__)

_OPEN_BATCH = 1_000
_CLOSE_BATCH = 200
"""Channels closed, or connections disconnected, per turn of the event loop, half a millisecond: ten thousand may become
idle at the same time."""


class Hub:
    """The realtime core of one process."""

    def __init__(
        self,
        bus: Bus,
        log: Log,
        limits: Limits | None = None,
        presence: Presence | None = None,
        offset_reports: OffsetReportStore | None = None,
        viewer_counts: ViewerCountStore | None = None,
        viewer_group: Callable[[str], str | None] = lambda _channel: None,
    ) -> None:
        """Make it inside the running event loop; `start` before the first connection."""
        self.bus, self.log = bus, log
        self.limits = limits or Limits()
        self.counters = Counters()
        self.loop = asyncio.get_running_loop()
        self.fanout = Fanout(self.loop, self.limits, self.counters)
        self.wheel = Wheel(self.loop, self.limits.tick_s)
        self.context = HubContext(log, self.fanout, self.limits, self.counters)
        self.presence_tracker = PresenceTracker(presence, self.context) if presence is not None else None
        self.offset_reports = (
            OffsetReports(offset_reports, self.context) if offset_reports is not None else None
        )
        self.channels: dict[str, Channel] = {}
        self.viewer_counts = None
        if viewer_counts is not None:
            self.viewer_counts = ViewerCounts(viewer_counts, self.context, self.channels, viewer_group)
        self.connections: set[Member] = set()
        self.draining = False
        self.on_control: Callable[[Sequence[Entry]], None] = lambda _entries: None
        """Called with the entries of the control channel; see `realtime.control`."""
        self.hooks = Hooks()
        self.admission = Admission(
            self.connections, self.fanout.full, lambda: self.draining, self.limits, self.counters
        )
        self.vouching = Vouching(bus.is_silent, self._tell_insufficient, self.limits, self.counters)
        self.admission.is_behind_log = lambda: self.vouching.is_lost
        self.delegations = DelegationIndex()
        self._sessions, self._users = MemberIndex(), MemberIndex()
        self._opening: list[Channel] = []
        self._openers = 0
        self._idle: OrderedDict[str, Channel] = OrderedDict()
        """Channels without readers, the longest idle first."""

    # Start and stop.

    async def start(self) -> None:
        """Begin to deliver."""
        await self.bus.start(self.deliver, self.bus_reconnected)
        await self.bus.subscribe([CONTROL_CHANNEL])
        self.wheel.start()
        self.context.start(self._sweep())
        self.context.start(self._stand_in_for_bus())
        self.context.start(self.vouching.watch())
        self.context.start(self._close_idle_channels())
        self.context.start(self.admission.watch())
        if self.presence_tracker is not None:
            self.context.start(self.presence_tracker.repeat())
        if self.offset_reports is not None:
            self.context.start(self.offset_reports.repeat())
        if self.viewer_counts is not None:
            self.context.start(self.viewer_counts.watch())

    async def drain(self, grace_s: float) -> None:
        """Take no new connections and disconnect all with 3001, spread over `grace_s`, in random order.

        Clients that reconnect at different times do not overload the other processes. A connection with a command under
        way is disconnected after its answer, or `finish_commands_s` after the grace time.
        """
        self.draining = True
        staying = list(self.connections)
        random.shuffle(staying)
        step_s = grace_s / max(1, len(staying))
        leaves_at_s = [step_s * (index + random.random()) for index in range(len(staying))]
        started_s = self.loop.time()
        last_s = grace_s + self.limits.finish_commands_s
        finishing: list[Member] = []
        while (staying or finishing) and (passed_s := self.loop.time() - started_s) < last_s:
            while staying and leaves_at_s[-len(staying)] <= passed_s:
                finishing.append(staying.pop())
            finishing = [member for member in finishing if not member.disconnect_if_idle()]
            await asyncio.sleep(0.02)
        for member in list(self.connections):
            member.disconnect(3001, "shutdown")

    async def stop(self) -> None:
        """Disconnect all remaining connections and end all tasks."""
        self.draining = True
        for member in list(self.connections):
            member.disconnect(3001, "shutdown")
        self.fanout.flush()
        self.wheel.stop()
        if self.presence_tracker is not None:
            await self.presence_tracker.finish(1.0)
        if self.offset_reports is not None:
            await self.offset_reports.finish(1.0)
        if self.viewer_counts is not None:
            await self.viewer_counts.finish(1.0)
        for channel in self.channels.values():
            channel.close()
        tasks = list(self.context.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.channels.clear()
        await self.bus.close()

    # Publications in.

    def deliver(self, name: str, entries: Sequence[Entry]) -> None:
        """Take the entries of one commit from the bus, ascending."""
        channel = self.channels.get(name)
        if channel is not None:
            channel.deliver(entries)
        elif name == CONTROL_CHANNEL:
            self.on_control(entries)

    def announce_heads(self, heads: Mapping[str, int]) -> None:
        """Take the newest numbers the relay saw in the log; a channel that lags behind reads the rest from there."""
        for name, number in heads.items():
            channel = self.channels.get(name)
            if isinstance(channel, ReplayedChannel):
                channel.announce(number, self.limits.announce_wait_s)

    def bus_reconnected(self) -> None:
        """Compare all channels with the log: anything may have been missed during the outage."""
        self.context.start(self._compare_all())

    def observe(self, prefix: str, observer: Observer) -> None:
        """Call `observer(channel, entry)` for each publication on open replayed channels with that prefix.

        Each number once, in order, in every process that has subscribers of the channel.
        """
        self.context.observers.append((prefix, observer))

    # Channels.

    async def open(self, name: str, lane: Lane) -> Channel:
        """Return a channel that is ready, pinned: `release` it afterwards. Raises what bus or log raise."""
        channel = self.pin(name, lane)
        try:
            if channel.ready is not None:
                await asyncio.shield(channel.ready)
        except BaseException:
            self.release(channel)
            raise
        return channel

    def pin(self, name: str, lane: Lane) -> Channel:
        """Return a channel that is or becomes `ready`, and stays until its `release`."""
        channel = self.channels.get(name)
        if channel is None:
            kind = ReplayedChannel if lane is Lane.REPLAYED else LatestChannel
            channel = self.channels[name] = kind(name, self.context)
            self._opening.append(channel)
            if self._openers < self.limits.opens_at_once:
                self._openers += 1
                self.context.start(self._open_batches())
        channel.pins += 1
        return channel

    def release(self, channel: Channel) -> None:
        """Undo the pin of `open`."""
        channel.pins -= 1
        self.check_idle(channel)

    def check_idle(self, channel: Channel) -> None:
        """Have the channel closed after `linger_s` if it has no readers and no pins; call it when one is gone."""
        if not channel.in_use() and self.channels.get(channel.name) is channel:
            channel.idle_at_s = self.loop.time()
            self._idle[channel.name] = channel
            self._idle.move_to_end(channel.name)

    async def _open_batches(self) -> None:
        """Open the channels that are waiting, in batches, until none is left."""
        try:
            await asyncio.sleep(0)
            while self._opening:
                batch, self._opening = self._opening[:_OPEN_BATCH], self._opening[_OPEN_BATCH:]
                await self._open(batch)
        finally:
            self._openers -= 1

    async def _open(self, batch: list[Channel]) -> None:
        """Subscribe to the bus, then read the newest numbers from the log; one round trip each for the batch."""
        try:
            await self.bus.subscribe([channel.name for channel in batch])
            replayed = [channel for channel in batch if isinstance(channel, ReplayedChannel)]
            heads = await self.log.heads([channel.name for channel in replayed]) if replayed else {}
            for opening in replayed:
                opening.opened(heads.get(opening.name, 0))
            if latest := [channel for channel in batch if isinstance(channel, LatestChannel)]:
                await asyncio.gather(*map(self._load, latest))
        except asyncio.CancelledError:
            self._fail_opening(batch, ConnectionError("the hub is stopping"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever bus and log raise, subscribers are answered
            self.counters.log_failures += 1
            _log.warning("%d channels could not be opened: %s", len(batch), error)
            self._fail_opening(batch, error)
        else:
            for channel in batch:
                ready, channel.ready = channel.ready, None
                if ready is not None and not ready.done():
                    ready.set_result(None)

    def _fail_opening(self, batch: Iterable[Channel], error: Exception) -> None:
        for channel in batch:
            if self.channels.get(channel.name) is channel:
                del self.channels[channel.name]
                self._idle.pop(channel.name, None)
                self.bus.unsubscribe(channel.name)
            channel.close()
            ready = channel.ready
            if ready is not None and not ready.done():
                ready.set_exception(error)
                ready.exception()  # nobody may be waiting any more

    async def _load(self, channel: LatestChannel) -> None:
        channel.deliver(await self.log.newest(channel.name))

    async def _close_idle_channels(self) -> None:
        """Close channels that stayed idle; keep all rings together within their bound."""
        while True:
            await asyncio.sleep(min(1.0, self.limits.linger_s))
            await self._close_idle_before(self.loop.time() - self.limits.linger_s)
            self._trim_rings()

    async def _close_idle_before(self, before_s: float) -> None:
        """Close the channels that nobody has used since then."""
        for number in count(1):
            name, channel = next(iter(self._idle.items()), ("", None))
            if channel is None or (channel.idle_at_s > before_s and not channel.in_use()):
                return
            del self._idle[name]
            if channel.ready is not None:
                self.check_idle(channel)  # it is still being opened: try again later
            elif not channel.in_use():
                del self.channels[name]
                channel.close()
                self.bus.unsubscribe(name)
            if not number % _CLOSE_BATCH:
                await asyncio.sleep(0)

    def _trim_rings(self) -> None:
        rings = [c.ring for c in self.channels.values() if isinstance(c, ReplayedChannel) and c.ring]
        excess = sum(ring.bytes for ring in rings) - self.limits.rings_bytes_max
        for ring in sorted(rings, key=lambda ring: ring.bytes, reverse=True) if excess > 0 else ():
            if excess <= 0:
                return
            excess -= ring.bytes // 2
            ring.trim(len(ring.items), ring.bytes // 2)

    # Repair.

    async def _sweep(self) -> None:
        """Compare every open replayed channel with the log, spread over `sweep_s`, for ever."""
        while True:
            names = self._replayed_names()
            batches = max(1, -(-len(names) // self.limits.sweep_batch))
            for index in range(batches):
                await asyncio.sleep(self.limits.sweep_s / batches)
                batch = names[index * self.limits.sweep_batch : (index + 1) * self.limits.sweep_batch]
                if batch:
                    with contextlib.suppress(Exception):  # the next sweep asks again
                        await self._compare(batch)

    async def _stand_in_for_bus(self) -> None:
        """Compare every channel with the log again and again while the bus is silent."""
        pause_s = self.limits.silent_sweep_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self.limits.silent_sweep_s
            if not self.bus.is_silent() and not self.vouching.is_lost:
                continue
            started_s = self.loop.time()
            names = iter(self._replayed_names())
            with contextlib.suppress(Exception):  # the log is away, too: it is asked again
                while batch := list(islice(names, self.limits.sweep_batch)):
                    await self._compare(batch)
                self.vouching.compared()
                await self._load_latest()
            pause_s = max(pause_s, self.limits.silent_sweep_rest * (self.loop.time() - started_s))

    async def _tell_insufficient(self) -> int:
        """Disconnect all, some in a turn, so that they come again and recover; return how many there were."""
        members = list(self.connections)
        for told, member in enumerate(members, 1):
            member.disconnect(DisconnectCode.INSUFFICIENT_STATE, "insufficient state")
            if told % _CLOSE_BATCH == 0:
                await asyncio.sleep(0)
        return len(members)

    async def _compare_all(self) -> None:
        """Compare at once, in batches, until it worked once for each."""
        names = iter(self._replayed_names())
        while batch := list(islice(names, self.limits.sweep_batch)):
            await self._compare_until_done(batch)
        await self._load_latest()

    async def _load_latest(self) -> None:
        """Ask for the value of every open latest channel, some at a time; one that fails is asked another time."""
        channels = iter(
            [c for c in self.channels.values() if isinstance(c, LatestChannel) and c.ready is None]
        )

        async def load_some() -> None:
            for channel in channels:
                async with self.context.fill_slots:
                    with contextlib.suppress(Exception):
                        await self._load(channel)

        await asyncio.gather(*(load_some() for _ in range(self.limits.fills_at_once)))

    async def _compare_until_done(self, names: list[str]) -> None:
        delay_s = self.limits.retry_min_s
        while True:
            try:
                await self._compare(names)
            except Exception as error:  # noqa: BLE001 - whatever the log raises, it is asked again
                self.counters.log_failures += 1
                _log.warning("the log is out of reach: %s", error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, self.limits.retry_max_s)
            else:
                return

    async def _compare(self, names: list[str]) -> None:
        for name, number in (await self.log.heads(names)).items():
            channel = self.channels.get(name)
            if isinstance(channel, ReplayedChannel):
                channel.announce(number, self.limits.gap_wait_s)

    def _replayed_names(self) -> list[str]:
        return [
            name
            for name, channel in self.channels.items()
            if isinstance(channel, ReplayedChannel) and channel.ready is None
        ]

    # Connections.

    def add_member(self, member: Member) -> None:
        """Make a connection whose identity is known findable by its user and session."""
        if member.session:
            self._sessions.add(member.session, member)
        if member.user:
            self._users.add(member.user, member)

    def remove_member(self, member: Member) -> None:
        """Remove a connection that ended."""
        self.connections.discard(member)
        if member.session:
            self._sessions.discard(member.session, member)
        if member.user:
            self._users.discard(member.user, member)

    def disconnect_session(self, session: str, code: int, reason: str) -> int:
        """End every connection of a session in this process; return how many."""
        members = self._sessions.find(session)
        for member in members:
            member.disconnect(code, reason)
        return len(members)

    def disconnect_user(self, user: str, code: int, reason: str) -> int:
        """End every connection of a user in this process; return how many."""
        members = self._users.find(user)
        for member in members:
            member.disconnect(code, reason)
        return len(members)

    def connections_of(self, user: str) -> list[Member]:
        """Return the connections of a user in this process."""
        return self._users.find(user)

    async def subscribe(self, member: Member, name: str, rule: ChannelRule) -> None:
        """Subscribe a connection to a channel it did not ask for. Raises what bus and log raise."""
        channel = await self.open(name, rule.lane)
        try:
            member.subscribe_by_server(channel, rule)
        finally:
            self.release(channel)

    def unsubscribe_user(
        self, user: str, name: str, code: int = UnsubscribeCode.SERVER, reason: str = "server unsubscribe"
    ) -> int:
        """End a user's subscriptions of a channel in this process, and those by tokens of the user; return how many.

        From code 2500 on clients subscribe again at once.
        """
        members = [*self._users.find(user), *self.delegations.members_by_user(user, name)]
        return sum(member.unsubscribe_by_server(name, code, reason) for member in members)

    # Presence.

    def on_subscribed(self, name: str, rule: ChannelRule, client: str, user: str, info: bytes) -> None:
        """Enter a client into presence and publish its join; call it after the subscribe was answered."""
        if rule.presence and self.presence_tracker is not None:
            self.presence_tracker.join(name, client, user, info)
        if rule.join_leave:
            self.bus.publish([(name, [Entry(0, info, 0, JOIN)])])

    def on_unsubscribed(self, name: str, rule: ChannelRule, client: str, info: bytes) -> None:
        """Remove a client from presence and publish its leave."""
        if rule.presence and self.presence_tracker is not None:
            self.presence_tracker.leave(name, client)
        if rule.join_leave:
            self.bus.publish([(name, [Entry(0, info, 0, LEAVE)])])

    # For metrics.

    def subscriptions(self) -> int:
        """Return how many subscriptions there are."""
        return sum(len(audience) for channel in self.channels.values() for audience in channel.audiences())

    def bytes_queued(self) -> int:
        """Return the bytes that wait for slow readers."""
        return sum(member.waiting for member in self.connections if member.paused)
