"""One client: its commands in order, its outgoing bytes, its deadlines.

Messages come as plain calls from the socket. A command that needs nothing from outside is answered on the spot; one
that does runs in a short-lived task, and whatever the client sent behind it waits its turn while the socket is not
read. An idle connection has no task, no queue and no timer of its own. Source: PROTOCOL 3-6, 12.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from protocols.budgets import decide
from protocols.wire.centrifuge import (
    NO_DATA,
    ClientInfo,
    CodecError,
    Command,
    DisconnectCode,
    ErrorCode,
    UnsubscribeCode,
)
from realtime.channels.channel import Channel
from realtime.channels.latest import LatestChannel
from realtime.codecs import Codec
from realtime.connection.subscribing import join_by_server
from realtime.hooks import (
    Cause,
    Connected,
    Disconnected,
    Subscribed,
    Unsubscribed,
    cause_of_disconnect,
    cause_of_loss,
    cause_of_unsubscribe,
    tell,
)
from realtime.hub import Hub, Member
from realtime.ports import ChannelRule, ConnectRequestContext, Identity
from realtime.transport.frames import BINARY, TEXT, build_frame
from realtime.transport.sockets import Socket
from realtime.transport.writer import joined

_log = logging.getLogger(__name__)

NEW, OPEN, FAILED, CLOSED = range(4)
"""States: before connect · connected · after a refused connect · gone."""

_NO_PENDING: deque[Command] = deque(maxlen=0)
_NO_RULES: Mapping[str, ChannelRule] = MappingProxyType({})
_NOBODY = Identity()
_PONG = Command()


class Dispatcher(Protocol):
    """Serves commands; `dispatch.CommandDispatcher`."""

    def serve_now(self, connection: "Connection", command: Command) -> bool:
        """Answer a command without waiting; False when it has to be `serve`d."""
        ...

    def enter(self, connection: "Connection", pending: deque[Command]) -> bool:
        """Serve a connect, the first of the pending commands, without a task; `served` tells when it is.

        False when it has to be `serve`d.
        """
        ...

    def serve(self, connection: "Connection", pending: deque[Command]) -> Coroutine[Any, Any, None]:
        """Take the first of the pending commands, perhaps some behind it, and answer; it waits for something."""
        ...


class Connection(Member):
    """One client of the hub."""

    __slots__ = (
        "_busy",
        "_commands_tat_us",
        "_dispatcher",
        "_pending",
        "_ping_at_s",
        "_pong_by_s",
        "_refusals_tat_us",
        "channels",
        "client",
        "context",
        "hub",
        "identity",
        "in_flight",
        "rules",
        "server_channels",
        "slot",
        "socket",
        "state",
    )

    def __init__(
        self, hub: Hub, dispatcher: Dispatcher, socket: Socket, codec: Codec, context: ConnectRequestContext
    ) -> None:
        """Take over an accepted socket."""
        super().__init__(hub.fanout, codec, socket.write, socket.buffered)
        self.hub, self.socket, self.context = hub, socket, context
        self._dispatcher = dispatcher
        self.state = NEW
        self.identity = _NOBODY
        self.client = ""
        self.channels: dict[str, Channel] = {}
        self.rules = _NO_RULES
        """Of those of `channels` whose rule has to be known later."""
        self.server_channels: tuple[str, ...] = ()
        """Those of `channels` the server subscribed; the client cannot leave them."""
        self.in_flight = 0
        self._pending = _NO_PENDING
        self._busy = False
        """A task serves a command of this connection."""
        self._commands_tat_us = self._refusals_tat_us = 0
        """Where its budgets stand (`protocols.budgets`)."""
        self.slot = -1
        self._pong_by_s = 0.0
        self._ping_at_s = hub.loop.time() + hub.limits.connect_timeout_s
        """Before connect: when it becomes stale."""
        hub.connections.add(self)
        hub.counters.connections_total += 1
        hub.wheel.place(self, hub.limits.connect_timeout_s)
        socket.attach(self)

    @property
    def user(self) -> str:  # type: ignore[override]
        """Whose connection it is; "" for anonymous."""
        return self.identity.user

    @property
    def session(self) -> str:  # type: ignore[override]
        """The login it belongs to."""
        return self.identity.session

    # Commands in.

    def message_received(self, payload: bytes) -> None:
        """Take one frame of commands."""
        if self.state == CLOSED:
            return
        try:
            commands = self.codec.decode_commands(payload, self.hub.limits.commands_per_frame_max)
        except CodecError:
            self.disconnect(DisconnectCode.BAD_REQUEST, "bad request")
            return
        self.hub.counters.commands += len(commands)
        if self.state == OPEN and len(commands) == 1 and not commands[0].id and commands[0] == _PONG:
            self.pong()
            return
        if self._busy or self._pending:
            self._wait_turn(commands)
            return
        serve_now = self._dispatcher.serve_now
        for index, command in enumerate(commands):
            if self.blocked() or not serve_now(self, command):
                self._wait_turn(commands[index:])
                self._go_on()
                return
            if self.state >= FAILED:
                return

    def blocked(self) -> bool:
        """Whether the next command has to wait: for RPCs to finish, or for the client to read its answers."""
        limits = self.hub.limits
        return (
            self._busy
            or self.in_flight >= limits.rpcs_in_flight_max
            or self.solicited > limits.replies_bytes_max
            or (self.paused and self.waiting > limits.replies_bytes_max)
        )

    def _wait_turn(self, commands: list[Command]) -> None:
        """Keep commands for later and read no more until they are served; behind a connect rarely anything comes."""
        if self._pending is _NO_PENDING:
            self._pending = deque()
        self._pending.extend(commands)
        if self.state != NEW or len(self._pending) > 1:
            self.socket.pause_reading()

    def _go_on(self) -> None:
        """Serve waiting commands as far as possible; read again when none is left."""
        pending = self._pending
        while pending and self.state < CLOSED:
            if self.blocked():
                if not self._busy and self.in_flight < self.hub.limits.rpcs_in_flight_max and not self.paused:
                    # Only unsent bytes are in the way and the transport takes them: go on after the flush.
                    self.hub.loop.call_soon(self._go_on)
                return
            if self._dispatcher.serve_now(self, pending[0]):
                if pending:
                    pending.popleft()
            else:
                self._busy = True
                if self.state == NEW:
                    self.hub.admission.enqueue(self._enter)
                else:
                    self.hub.context.start(self._serve())
                return
        self._pending = _NO_PENDING
        if self.state < CLOSED:
            self.socket.resume_reading()

    def _enter(self) -> None:
        """It is our turn to connect."""
        if self.state == NEW and not self._dispatcher.enter(self, self._pending):
            self.hub.context.start(self._serve())

    def served(self) -> None:
        """The connect, first of what waits, has its answer."""
        if self._pending:
            self._pending.popleft()
        self._busy = False
        self._go_on()

    async def _serve(self) -> None:
        """Serve the first waiting command, and those behind it that have to wait too."""
        pending = self._pending
        try:
            while pending and self.state < FAILED:
                await self._dispatcher.serve(self, pending)
                while pending and not self.still_blocked() and self._dispatcher.serve_now(self, pending[0]):
                    if pending:
                        pending.popleft()
                if pending and self.still_blocked():
                    break
        finally:
            self._busy = False
            self._go_on()

    def still_blocked(self) -> bool:
        """Like `blocked`, asked by the task that makes the connection busy."""
        self._busy = False
        try:
            return self.blocked()
        finally:
            self._busy = True

    def rpc_finished(self) -> None:
        """An RPC got its answer."""
        self.in_flight -= 1
        if self._pending and not self._busy:
            self._go_on()

    def afford(self, cost: int) -> bool:
        """Take `cost` units from the budget of commands; False, taking nothing, when it has fewer."""
        rule = self.hub.limits.commands
        if rule is None:
            return True
        verdict, self._commands_tat_us = decide(self._commands_tat_us, self._now_us(), cost, rule)
        return verdict.allowed

    def count_refusal(self) -> None:
        """The client sent what it should not have; disconnect one that does not stop."""
        rule = self.hub.limits.refusals
        if rule is None or self.state == CLOSED:
            return
        verdict, self._refusals_tat_us = decide(self._refusals_tat_us, self._now_us(), 1, rule)
        if not verdict.allowed:
            self.disconnect(DisconnectCode.TOO_MANY_REQUESTS, "too many requests")

    def _now_us(self) -> int:
        return int(self.hub.loop.time() * 1_000_000)

    # Answers out.

    def refuse(self, command_id: int, code: int, message: str, *, temporary: bool = False) -> None:
        """Answer a command with an error."""
        self.answer(self.codec.error_reply(command_id, code, message, temporary))

    def fail_connect(self, command_id: int, code: int, message: str, *, temporary: bool = False) -> None:
        """Refuse the connect: nothing behind it is served, the client reconnects or gives up."""
        self.refuse(command_id, code, message, temporary=temporary)
        self.state = FAILED
        self._pending.clear()

    def refuse_internal(self, command_id: int) -> None:
        """Answer that the server failed; the client may try again."""
        self.refuse(command_id, ErrorCode.INTERNAL, "internal server error", temporary=True)

    def send_frame(self, message: bytes) -> None:
        """Queue one message that is not an answer."""
        self.send(build_frame(message, BINARY if self.codec.binary else TEXT))

    # Channels.

    def identified(self, identity: Identity) -> None:
        """The token is good: from now on the connection ends with its session, though it is not open yet."""
        self.identity = identity
        self.hub.join(self)

    def opened(self, client: str) -> None:
        """The connect succeeded: pings begin."""
        self.state, self.client = OPEN, client
        limits = self.hub.limits
        self._ping_at_s = self.hub.loop.time() + limits.ping_s * random.uniform(0.5, 1.0)
        self._place()

    def welcomed(self) -> None:
        """The connect is answered: let observers know."""
        if observers := self.hub.hooks.connected:
            tell(observers, Connected(self.client, self.identity, self.context))

    def leave(self, name: str, cause: Cause) -> bool:
        """End a subscription; False when there was none."""
        channel = self.channels.pop(name, None)
        if channel is None:
            return False
        channel.remove(self)
        self.hub.left(channel)
        if self.hub.reports is not None:
            self.hub.reports.leave(name, self.client)
        if observers := self.hub.hooks.unsubscribed:
            tell(observers, Unsubscribed(self.client, self.identity, name, cause))
        if isinstance(self.rules, dict) and (rule := self.rules.pop(name, None)) is not None:
            if rule.grant is not None:
                self.hub.forget_grant(rule.grant, self, name)
            self.hub.went(name, rule, self.client, self.describe(rule))
        return True

    def came(self, name: str, rule: ChannelRule) -> None:
        """The subscription is answered: keep what its rule says of later, let others know."""
        if rule.remembered:
            self.remember(name, rule)
            self.hub.came(name, rule, self.client, self.user, self.describe(rule))
        if observers := self.hub.hooks.subscribed:
            tell(observers, Subscribed(self.client, self.identity, name))

    def remember(self, name: str, rule: ChannelRule) -> None:
        """Keep the rule of a subscription as long as that lasts."""
        if not isinstance(self.rules, dict):
            self.rules = {}
        elif name in self.rules and (old := self.rules[name].grant) is not None:
            self.hub.forget_grant(old, self, name)
        self.rules[name] = rule
        if rule.grant is not None:
            self.hub.grant(rule.grant, self, name)
        if rule.expires_at_s:
            self._place()

    def describe(self, rule: ChannelRule) -> bytes:
        """Return what others see of the client in a channel: a ClientInfo as JSON."""
        conn_info, chan_info = (
            msgspec.Raw(info.replace(b"\n", b" ")) if info else NO_DATA
            for info in (self.identity.info, rule.info)
        )
        return msgspec.json.encode(ClientInfo(self.user, self.client, conn_info, chan_info))

    def subscribe_by_server(self, channel: Channel, rule: ChannelRule) -> None:
        """Begin a subscription the client did not ask for, unless there is one."""
        if self.state != OPEN or channel.name in self.channels:
            return
        result = join_by_server(self.hub, self, channel, rule, None)
        self.channels[channel.name] = channel
        self.server_channels += (channel.name,)
        self.send_frame(self.codec.push_subscribe(channel.name, result))
        self.came(channel.name, rule)

    def unsubscribe_by_server(self, name: str, code: int, reason: str) -> bool:
        """End a subscription; False when there was none."""
        if not self.leave(name, cause_of_unsubscribe(code)):
            return False
        self.server_channels = tuple(known for known in self.server_channels if known != name)
        if self.state == OPEN:
            self.send_frame(self.codec.push_unsubscribe(name, code, reason))
        return True

    # Deadlines.

    def renewed(self, identity: Identity) -> None:
        """A newer token of the same session was shown: its roles and end of life count from now on."""
        self.identity = identity
        self._place()

    def _place(self) -> None:
        delay_s = self.due(self.hub.loop.time())
        if delay_s >= 0:
            self.hub.wheel.place(self, delay_s)

    def due(self, now_s: float) -> float:
        """Ping, miss a pong, expire, go stale; return seconds until the next of these."""
        if self.state == CLOSED:
            return -1.0
        if self.state != OPEN:
            if now_s >= self._ping_at_s:
                self.disconnect(DisconnectCode.STALE, "stale")
                return -1.0
            return self._ping_at_s - now_s
        limits = self.hub.limits
        if self._pong_by_s and now_s >= self._pong_by_s:
            if not self._busy and self.in_flight < limits.rpcs_in_flight_max:
                self.hub.counters.pongs_missed += 1
                self.disconnect(DisconnectCode.NO_PONG, "no pong")
                return -1.0
            self._pong_by_s = now_s + limits.pong_timeout_s  # we did not read, so the pong may be waiting
        if now_s >= self._ping_at_s:
            self.send_frame(self.codec.ping)
            self._ping_at_s = now_s + limits.ping_s
            self._pong_by_s = now_s + limits.pong_timeout_s
        delay_s = self._ping_at_s - now_s
        if self._pong_by_s:
            delay_s = min(delay_s, self._pong_by_s - now_s)
        expires_at_s = self.identity.expires_at_s
        if expires_at_s:
            left_s = expires_at_s + limits.expiry_grace_s - time.time()
            if left_s <= 0:
                self.disconnect(DisconnectCode.EXPIRED, "expired")
                return -1.0
            delay_s = min(delay_s, left_s)
        return min(delay_s, self._expire_subscriptions(delay_s)) if self.rules else delay_s

    def _expire_subscriptions(self, delay_s: float) -> float:
        """End subscriptions whose token is over; return the seconds until the next one is, at most `delay_s`."""
        for name, rule in list(self.rules.items()):
            if not rule.expires_at_s:
                continue
            left_s = rule.expires_at_s + self.hub.limits.expiry_grace_s - time.time()
            if left_s > 0:
                delay_s = min(delay_s, left_s)
            elif name in self.server_channels:
                self.disconnect(DisconnectCode.SUBSCRIPTION_EXPIRED, "subscription expired")
                return -1.0
            else:
                self.unsubscribe_by_server(name, UnsubscribeCode.EXPIRED, "subscription expired")
        return delay_s

    def pong(self) -> None:
        """The client lives; an answer to no ping says nothing."""
        if self._pong_by_s:
            self._pong_by_s = 0.0
        else:
            self.count_refusal()

    # The socket's news.

    def writing_paused(self) -> None:
        """The transport is full; what comes now waits in `out`."""
        if self.state != CLOSED:
            self.pause()

    def writing_resumed(self) -> None:
        """The transport has drained: send what waited, and the newest of what was skipped."""
        if self.state == CLOSED:
            return
        self.resume()
        for channel in self.channels.values():
            if isinstance(channel, LatestChannel) and channel.missed:
                channel.catch_up(self)
        if self._pending and not self._busy:
            self._go_on()

    def server_stopping(self) -> None:
        """The process leaves; the client reconnects elsewhere."""
        self.disconnect(DisconnectCode.SHUTDOWN, "shutdown")
        self.flusher.flush()

    def flooded(self, reason: str) -> None:
        """The client sends frames without commands in them faster than any client needs to."""
        self.disconnect(DisconnectCode.TOO_MANY_REQUESTS, reason)

    def send_away(self) -> bool:
        """Disconnect for another process to take over; False, reading no more, while a command is under way."""
        if self.state != CLOSED:
            if self._busy or self.in_flight or self._pending:
                self.socket.pause_reading()
                return False
            self.disconnect(DisconnectCode.SHUTDOWN, "shutdown")
        return True

    def socket_ending(self, end: Callable[[], None]) -> None:
        """The client left without a word: forget it in its turn."""
        self.hub.admission.enqueue(end)

    def socket_lost(self, code: int) -> None:
        """The socket is gone."""
        if self.state != CLOSED:
            self._forget()
            self._tell_end(cause_of_loss(code), code, "")
        self.out = None

    # The end.

    def cut_slow(self) -> None:
        """The client did not read what it subscribed to: drop its queue; it reconnects and recovers."""
        if self.state != CLOSED:
            self.hub.counters.slow_cuts += 1
            self.out = None
            self.disconnect(DisconnectCode.SLOW, "slow")

    def disconnect(self, code: int, reason: str) -> None:
        """End the connection with a disconnect push and a close frame; the code carries the reconnect policy."""
        if self.state == CLOSED:
            return
        if code == DisconnectCode.TOO_MANY_REQUESTS:
            self.hub.counters.flood_cuts += 1
        self._forget()
        push = build_frame(self.codec.push_disconnect(code, reason), BINARY if self.codec.binary else TEXT)
        out, self.out = self.out, None
        self.write(joined(out) + push)
        self.socket.close(code, reason)
        self._tell_end(cause_of_disconnect(code), code, reason)

    def _tell_end(self, cause: Cause, code: int, reason: str) -> None:
        if observers := self.hub.hooks.disconnected:
            fact = Disconnected(self.client, self.identity, self.context, cause, code, reason)
            tell(observers, fact)

    def _forget(self) -> None:
        """Leave hub, wheel and channels."""
        self.state = CLOSED
        self.flusher.full.discard(self)
        self._pending.clear()
        self.hub.wheel.remove(self)
        for name in list(self.channels):
            self.leave(name, Cause.CONNECTION)
        self.hub.leave(self)
