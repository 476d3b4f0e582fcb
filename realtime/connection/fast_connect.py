"""From a connect command to its answer, without a task: a storm of connects is mostly this.

Who has a token that can be judged at once is known at once; its personal channel opens together with those of others;
the answer is written when that is done, in its turn. A connect that has to wait for anything else is the dispatcher's,
which serves it in a task. What a new connection gets is the same in both: `complete_connect`.
Source: decision 0045.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import msgspec

from protocols.values import new_id, now_instant, to_timestamp
from protocols.wire.centrifuge import Command, ConnectRequest, ConnectResult, SubscribeResult
from realtime.channels.channel import Channel
from realtime.channels.replayed import ReplayedChannel
from realtime.connection.connection import NEW, Connection
from realtime.connection.subscribing import is_epoch, join_by_server, seconds_left
from realtime.ports import ApplicationPort, ChannelRule

VERSION = "mnbara"

ANSWER_WITHIN_S = 4.0
"""A client waits five seconds for an answer and then drops the connection (PROTOCOL 13)."""

Answering = Callable[[Connection, Command], AbstractContextManager[None]]
"""Turns what goes wrong inside into the command's answer."""


class Prepared(NamedTuple):
    """A channel ready to be joined, pinned, and how it behaves for the client."""

    channel: Channel
    rule: ChannelRule


class FastConnect:
    """A connect whose client is known, until its personal channel is open."""

    __slots__ = ("_answering", "_command", "_connection", "_gate", "_opened", "_timer")

    def __init__(
        self,
        gate: ApplicationPort,
        answering: Answering,
        connection: Connection,
        command: Command,
        opened: Prepared,
    ) -> None:
        """Wait for the channel, which is pinned, but not for ever."""
        self._gate, self._answering = gate, answering
        self._connection, self._command, self._opened = connection, command, opened
        hub = connection.hub
        hub.admission.connects += 1
        self._timer = hub.loop.call_later(ANSWER_WITHIN_S, self._late)
        ready = opened.channel.ready
        if ready is None:
            self._go_on()
        else:
            ready.add_done_callback(self._enqueue)

    def _enqueue(self, _ready: object) -> None:
        self._connection.hub.admission.enqueue(self._go_on)

    def _go_on(self) -> None:
        """The channel is open, or will not be: answer, or first have it prepared for what the client missed."""
        connection, channel = self._connection, self._opened.channel
        request = self._command.connect
        assert request is not None, "connects enter"
        wish = request.subs.get(channel.name)
        if (
            connection.state == NEW
            and wish is not None
            and wish.recover
            and isinstance(channel, ReplayedChannel)
            and channel.ready is None
            and is_epoch(connection.hub, wish.epoch)
            and not channel.is_prepared(wish.offset)
        ):
            connection.hub.context.start(self._prepare(channel, wish.offset))
        else:
            self._finish(None)

    async def _prepare(self, channel: ReplayedChannel, offset: int) -> None:
        failure = None
        try:
            await channel.prepare(offset)
        except Exception as error:  # noqa: BLE001 - it is answered in its turn
            failure = error
        self._finish(failure)

    def _finish(self, failure: BaseException | None) -> None:
        connection, command, channel = self._connection, self._command, self._opened.channel
        self._timer.cancel()
        connection.hub.admission.connects -= 1
        try:
            if connection.state != NEW:
                return
            with self._answering(connection, command):
                ready = channel.ready
                if ready is not None:
                    failure = ready.exception()
                if failure is not None:
                    raise failure
                assert command.connect is not None, "connects enter"
                complete_connect(connection, self._gate, command.id, command.connect, [self._opened])
        finally:
            connection.hub.release(channel)
        connection.served()

    def _late(self) -> None:
        """Neither bus nor log answered in time: the client shall come again; the channel may take what it needs."""
        connection = self._connection
        if connection.state == NEW:
            with self._answering(connection, self._command):
                raise TimeoutError("a personal channel did not open in time")
            connection.served()


def complete_connect(
    connection: Connection,
    gate: ApplicationPort,
    command_id: int,
    request: ConnectRequest,
    opened: Sequence[Prepared],
) -> None:
    """Join a known client to its channels and answer; reply and pushes leave in that order. Raises as `confirm`."""
    hub, identity = connection.hub, connection.identity
    gate.confirm(identity)  # opening may have taken a while; nothing below waits
    subs: dict[str, SubscribeResult] = {}
    for channel, rule in opened:
        wish = request.subs.get(channel.name)
        subs[channel.name] = join_by_server(hub, connection, channel, rule, wish)
        connection.channels[channel.name] = channel
    connection.server_channels = tuple(subs)
    connection.opened(str(new_id()))
    now_ms = now_instant()
    result = ConnectResult(
        client=connection.client,
        version=VERSION,
        subs=subs,
        ping=max(1, round(hub.limits.ping_s)),
        pong=True,
        time=now_ms,
        data=msgspec.Raw(b'{"server_time":"%b"}' % to_timestamp(now_ms).encode()),
        session=connection.context.stream_session,
        node=connection.context.stream_node,
    )
    if identity.expires_at_s:
        result.expires, result.ttl = True, seconds_left(identity.expires_at_s)
    connection.answer(connection.codec.reply(command_id, result))
    connection.welcomed()
    for channel, rule in opened:
        connection.came(channel.name, rule)
