"""One client: its commands in order, its outgoing bytes, its deadlines.

The socket passes messages on as plain calls. A command that needs no I/O is answered at once. A command that needs I/O
runs in a short-lived task; later commands of the client wait, and the socket is not read until they are served. An idle
connection has no task, no queue and no timer of its own.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
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
    TooManyCommandsError,
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
    notify,
)
from realtime.hub import Hub
from realtime.members import Member
from realtime.ports import ChannelRule, ConnectRequestContext, Identity
from realtime.transport.frames import BINARY, TEXT, build_frame
from realtime.transport.sockets import Socket
from realtime.transport.writer import joined

_log = logging.getLogger(__name__)

NEW, OPEN, FAILED, CLOSED = range(4)
"""States: before the connect is answered · connected · connect refused · connection ended."""

_NO_PENDING: deque[Command] = deque(maxlen=0)
"""Shared by all connections without waiting commands: an empty deque takes 760 bytes."""
_ANONYMOUS = Identity()
_PONG = Command()


class Dispatcher(Protocol):
    """Serves commands; `dispatch.CommandDispatcher`."""

    def serve_now(self, connection: "Connection", command: Command) -> bool:
        """Answer a command without waiting; False for a connect and for commands that need `serve`."""
        ...

    def connect_now(self, connection: "Connection", command: Command) -> None:
        """Begin to serve a connect; the connection's `on_connect_answered` is called once it is answered."""
        ...

    def serve(self, connection: "Connection", pending: deque[Command]) -> Coroutine[Any, Any, None]:
        """Answer the first of the pending commands, and perhaps some behind it; remove them from the queue."""
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
        self.identity = _ANONYMOUS
        self.client = ""
        self.channels: dict[str, Channel] = {}
        self.rules: dict[str, ChannelRule] | None = None
        """Rules of the subscriptions that need theirs later (`ChannelRule.remembered`); None before the first one."""
        self.server_channels: tuple[str, ...] = ()
        """Those of `channels` that the server subscribed; the client cannot unsubscribe from them."""
        self.in_flight = 0
        """RPCs without an answer."""
        self._pending = _NO_PENDING
        self._busy = False
        """A connect is under way, or a task serves a command."""
        self._commands_tat_us = self._refusals_tat_us = 0
        """State of the budgets for commands and refusals (`protocols.budgets`)."""
        self.slot = -1
        self._pong_by_s = 0.0
        self._ping_at_s = hub.loop.time() + hub.limits.connect_timeout_s
        """When the next ping is due; before the connect, when the connection is closed as stale."""
        hub.connections.add(self)
        hub.counters.connections_total += 1
        hub.wheel.schedule(self, hub.limits.connect_timeout_s)
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
        if self.state >= FAILED:
            self.count_refusal()  # a refused connect: what the client sent behind it is ignored
            return
        try:
            commands = self.codec.decode_commands(payload, self.hub.limits.commands_per_frame_max)
        except TooManyCommandsError:
            self.disconnect(DisconnectCode.TOO_MANY_REQUESTS, "too many commands in a frame")
            return
        except CodecError:
            self.disconnect(DisconnectCode.BAD_REQUEST, "bad request")
            return
        self.hub.counters.commands += len(commands)
        if self.state == OPEN and len(commands) == 1 and not commands[0].id and commands[0] == _PONG:
            self.pong()
            return
        if self._busy or self._pending:
            self._keep_pending(commands)
            return
        serve_now = self._dispatcher.serve_now
        for index, command in enumerate(commands):
            if self.is_over_limits() or not serve_now(self, command):
                self._keep_pending(commands[index:])
                self._serve_pending()
                return
            if self.state >= FAILED:
                return

    def is_over_limits(self) -> bool:
        """Whether the next command has to wait: for RPCs to finish, or for the client to read its answers."""
        limits = self.hub.limits
        return (
            self.in_flight >= limits.rpcs_in_flight_max
            or self.solicited > limits.replies_bytes_max
            or (self.paused and self.waiting > limits.replies_bytes_max)
        )

    def _keep_pending(self, commands: list[Command]) -> None:
        """Keep commands for later and stop reading until they are served.

        The socket is still read while only a connect waits: few clients send anything before its answer.
        """
        if self._pending is _NO_PENDING:
            self._pending = deque()
        self._pending.extend(commands)
        if self.state != NEW or len(self._pending) > 1:
            self.socket.pause_reading()

    def _serve_pending(self) -> None:
        """Serve pending commands as far as possible; read the socket again when none is left."""
        pending = self._pending
        while pending and self.state < CLOSED:
            if self._busy:
                return
            if self.is_over_limits():
                if self.in_flight < self.hub.limits.rpcs_in_flight_max and not self.paused:
                    # Only unsent answers are over the limit and the transport takes them: continue after the flush.
                    self.hub.loop.call_soon(self._serve_pending)
                return
            if self._dispatcher.serve_now(self, pending[0]):
                if pending:
                    pending.popleft()
            else:
                self._busy = True
                if self.state == NEW:
                    self.hub.admission.enqueue(self._connect)
                else:
                    self.hub.context.start(self._serve())
                return
        self._pending = _NO_PENDING
        if self.state < CLOSED:
            self.socket.resume_reading()

    def _connect(self) -> None:
        """Serve the connect, first of the pending commands; called from the admission queue."""
        if self.state == NEW:
            self._dispatcher.connect_now(self, self._pending[0])

    def on_connect_answered(self) -> None:
        """Continue with the commands behind the connect, which was accepted or refused."""
        if self._pending:
            self._pending.popleft()
        self._busy = False
        self._serve_pending()

    async def _serve(self) -> None:
        """Serve the first pending command, and those behind it that need I/O too."""
        pending = self._pending
        try:
            while pending and self.state < FAILED:
                await self._dispatcher.serve(self, pending)
                while pending and not self.is_over_limits() and self._dispatcher.serve_now(self, pending[0]):
                    if pending:
                        pending.popleft()
                if pending and self.is_over_limits():
                    break
        finally:
            self._busy = False
            self._serve_pending()

    def on_rpc_answered(self) -> None:
        """Count an RPC as answered and serve what waited for it."""
        self.in_flight -= 1
        if self._pending and not self._busy:
            self._serve_pending()

    def afford(self, cost: int) -> bool:
        """Take `cost` units from the budget of commands; False, and nothing is taken, when it has fewer."""
        rule = self.hub.limits.commands
        if rule is None:
            return True
        verdict, self._commands_tat_us = decide(self._commands_tat_us, self._now_us(), cost, rule)
        return verdict.allowed

    def count_refusal(self) -> None:
        """Take a refusal from the client's budget; disconnect the client when that is spent."""
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
        """Refuse the connect; commands behind it are dropped."""
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

    def on_authenticated(self, identity: Identity) -> None:
        """Keep the identity; from now on, even before the answer, the end of its session ends the connection."""
        self.identity = identity
        self.hub.add_member(self)

    def on_connected(self, client: str) -> None:
        """Accept commands under this client id and begin to send pings."""
        self.state, self.client = OPEN, client
        limits = self.hub.limits
        self._ping_at_s = self.hub.loop.time() + limits.ping_s * random.uniform(0.5, 1.0)
        self._schedule_deadline()

    def notify_connected(self) -> None:
        """Call the observers of connects; after the connect was answered."""
        if observers := self.hub.hooks.connected:
            notify(observers, Connected(self.client, self.identity, self.context))

    def leave(self, name: str, cause: Cause) -> bool:
        """End a subscription; False when there was none."""
        channel = self.channels.pop(name, None)
        if channel is None:
            return False
        channel.remove(self)
        self.hub.check_idle(channel)
        if self.hub.offset_reports is not None:
            self.hub.offset_reports.leave(name, self.client)
        if observers := self.hub.hooks.unsubscribed:
            notify(observers, Unsubscribed(self.client, self.identity, name, cause))
        rule = self.rules.pop(name, None) if self.rules else None
        if rule is not None:
            if rule.delegation is not None:
                self.hub.delegations.discard(rule.delegation, self, name)
            self.hub.on_unsubscribed(name, rule, self.client, self.describe(rule))
        return True

    def on_subscribed(self, name: str, rule: ChannelRule) -> None:
        """Keep the rule if it is needed later, publish the join, call the observers; after the answer."""
        if rule.ping_s:
            self.channels[name].ping_s = rule.ping_s
            self._ping_sooner(rule.ping_s)
        if rule.remembered:
            self.remember(name, rule)
            self.hub.on_subscribed(name, rule, self.client, self.user, self.describe(rule))
        if observers := self.hub.hooks.subscribed:
            notify(observers, Subscribed(self.client, self.identity, name))

    def remember(self, name: str, rule: ChannelRule) -> None:
        """Keep the rule of a subscription, or a newer one, as long as the subscription lasts."""
        old = self.rule_of(name)
        if old is not None and old.delegation is not None:
            self.hub.delegations.discard(old.delegation, self, name)
        if self.rules is None:
            self.rules = {}
        self.rules[name] = rule
        if rule.delegation is not None:
            self.hub.delegations.add(rule.delegation, self, name)
        if rule.expires_at_s:
            self._schedule_deadline()

    def rule_of(self, name: str) -> ChannelRule | None:
        """Return the rule kept for a subscription, if there is one."""
        return None if self.rules is None else self.rules.get(name)

    def describe(self, rule: ChannelRule) -> bytes:
        """Return the ClientInfo that others see of the client in a channel, as JSON."""
        conn_info, chan_info = (
            msgspec.Raw(info.replace(b"\n", b" ")) if info else NO_DATA
            for info in (self.identity.info, rule.info)
        )
        return msgspec.json.encode(ClientInfo(self.user, self.client, conn_info, chan_info))

    def subscribe_by_server(self, channel: Channel, rule: ChannelRule) -> None:
        """Begin a subscription the client did not ask for, unless there is one."""
        expired = rule.expires_at_s and rule.expires_at_s <= time.time()
        if self.state != OPEN or channel.name in self.channels or expired:
            return
        result = join_by_server(self.hub, self, channel, rule, None)
        self.channels[channel.name] = channel
        self.server_channels += (channel.name,)
        self.send_frame(self.codec.push_subscribe(channel.name, result))
        self.on_subscribed(channel.name, rule)

    def unsubscribe_by_server(self, name: str, code: int, reason: str) -> bool:
        """End a subscription; False when there was none."""
        if not self.leave(name, cause_of_unsubscribe(code)):
            return False
        self.server_channels = tuple(known for known in self.server_channels if known != name)
        if self.state == OPEN:
            self.send_frame(self.codec.push_unsubscribe(name, code, reason))
        return True

    # Deadlines.

    def on_refreshed(self, identity: Identity) -> None:
        """Take the roles and the expiry of a newer token of the same session."""
        self.identity = identity
        self._schedule_deadline()

    def _ping_sooner(self, ping_s: float) -> None:
        """Bring the next ping forward for a channel that needs more of them."""
        at_s = self.hub.loop.time() + ping_s * random.uniform(0.5, 1.0)
        if at_s < self._ping_at_s:
            self._ping_at_s = at_s
            self._schedule_deadline()

    def _ping_rhythm(self) -> tuple[float, float]:
        """Return the interval of pings and the time for a pong, by what the channels of the connection need.

        Called once per ping, so that nothing is kept for it. A dead network is found within one and a half intervals.
        """
        limits = self.hub.limits
        needed_s = min((channel.ping_s for channel in self.channels.values() if channel.ping_s), default=0.0)
        if not 0 < needed_s < limits.ping_s:
            return limits.ping_s, limits.pong_timeout_s
        return needed_s, min(limits.pong_timeout_s, needed_s / 2)

    def _schedule_deadline(self) -> None:
        delay_s = self.due(self.hub.loop.time())
        if delay_s >= 0:
            self.hub.wheel.schedule(self, delay_s)

    def due(self, now_s: float) -> float:
        """Send a ping, or end the connection for a missed pong, an expired token or no connect in time.

        Return seconds until the next of these, or a negative number when the connection has ended.
        """
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
            self._pong_by_s = (
                now_s + limits.pong_timeout_s
            )  # the socket was not read: the pong may be in its buffer
        if now_s >= self._ping_at_s:
            self.send_frame(self.codec.ping)
            ping_s, pong_timeout_s = self._ping_rhythm()
            self._ping_at_s = now_s + ping_s
            self._pong_by_s = now_s + pong_timeout_s
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
        return self._expire_subscriptions(delay_s)

    def _expire_subscriptions(self, delay_s: float) -> float:
        """End subscriptions whose token has expired; return seconds until the next one does, at most `delay_s`."""
        for name, rule in list(self.rules.items()) if self.rules else ():
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
        """Take the answer to a ping; a pong without a ping counts as a refusal."""
        if self._pong_by_s:
            self._pong_by_s = 0.0
        else:
            self.count_refusal()

    # Called by the socket.

    def writing_paused(self) -> None:
        """Keep outgoing bytes in `out`: the transport's buffer is full."""
        if self.state != CLOSED:
            self.pause()

    def writing_resumed(self) -> None:
        """Send what waited, and the newest value of each latest channel that was skipped."""
        if self.state == CLOSED:
            return
        self.resume()
        for channel in self.channels.values():
            if isinstance(channel, LatestChannel) and channel.missed:
                channel.catch_up(self)
        if self._pending and not self._busy:
            self._serve_pending()

    def server_stopping(self) -> None:
        """Disconnect at once: the process stops, and the client reconnects to another one."""
        self.disconnect(DisconnectCode.SHUTDOWN, "shutdown")
        self.flusher.flush()

    def flooded(self, reason: str) -> None:
        """Disconnect a client that sends too many frames without commands in them."""
        self.disconnect(DisconnectCode.TOO_MANY_REQUESTS, reason)

    def disconnect_if_idle(self) -> bool:
        """Disconnect with 3001; False, and the socket is not read any more, while a command is under way."""
        if self.state != CLOSED:
            if self._busy or self.in_flight or self._pending:
                self.socket.pause_reading()
                return False
            self.disconnect(DisconnectCode.SHUTDOWN, "shutdown")
        return True

    def socket_ending(self, end: Callable[[], None]) -> None:
        """Clean up in the admission queue: thousands of clients may be lost in the same moment."""
        self.hub.admission.enqueue(end)

    def socket_lost(self, code: int) -> None:
        """Clean up after a socket that the server did not close."""
        if self.state != CLOSED:
            self._detach()
            self._notify_disconnected(cause_of_loss(code), code, "")
        self.out = None

    # The end.

    def cut_slow(self) -> None:
        """Drop the queue of a client that does not read and disconnect it; it reconnects and recovers."""
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
        self._detach()
        push = build_frame(self.codec.push_disconnect(code, reason), BINARY if self.codec.binary else TEXT)
        out, self.out = self.out, None
        self.write(joined(out) + push)
        self.socket.close(code, reason)
        self._notify_disconnected(cause_of_disconnect(code), code, reason)

    def _notify_disconnected(self, cause: Cause, code: int, reason: str) -> None:
        if observers := self.hub.hooks.disconnected:
            event = Disconnected(self.client, self.identity, self.context, cause, code, reason)
            notify(observers, event)

    def _detach(self) -> None:
        """Remove the connection from hub, wheel and channels."""
        self.state = CLOSED
        self.flusher.full.discard(self)
        self._pending.clear()
        self.hub.wheel.remove(self)
        for name in list(self.channels):
            self.leave(name, Cause.CONNECTION)
        self.hub.remove_member(self)
