"""From a connect command to its answer. An ordinary connect makes no task: its steps are callbacks.

1. Who connects. The application often knows at once; otherwise a task asks it.
2. The client's personal channels open, together with those of other clients.
3. A client that returns gets what it missed. The channel has that in memory, or a task reads it from the log.
4. The answer, in one step in which nothing waits: access is confirmed, channels are joined, the reply is written.

Every step that follows a wait is queued at the hub's admission, which bounds the time that connects take of each turn
of the event loop. Source: decision 0045.
"""

from asyncio import TimerHandle, timeout_at
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import msgspec

from protocols.values import new_id, now_instant, to_timestamp
from protocols.wire.centrifuge import Command, ConnectRequest, ConnectResult, DisconnectCode, SubscribeResult
from realtime.channels.channel import Channel
from realtime.channels.replayed import ReplayedChannel
from realtime.connection.connection import NEW, Connection
from realtime.connection.subscribing import join_by_server, missed_from, seconds_left
from realtime.ports import ApplicationPort, ChannelRule, DisconnectError

VERSION = "mnbara"

ANSWER_WITHIN_S = 4.0
"""Clients wait five seconds for an answer and then drop the connection."""

Answering = Callable[[Connection, Command], AbstractContextManager[None]]
"""Turns an exception inside into the command's answer, or the connection's end."""


class PreparedChannel(NamedTuple):
    """A channel that is ready to be joined, pinned, and how it behaves for the client."""

    channel: Channel
    rule: ChannelRule


class ConnectAttempt:
    """One connect command, until it is answered or its connection has ended."""

    __slots__ = (
        "_answering",
        "_application",
        "_command",
        "_connection",
        "_deadline_s",
        "_opening",
        "_personal",
        "_request",
        "_timer",
    )

    def __init__(
        self,
        application: ApplicationPort,
        answering: Answering,
        connection: Connection,
        command: Command,
        request: ConnectRequest,
    ) -> None:
        """Nothing happens until `start`."""
        self._application, self._answering = application, answering
        self._connection, self._command, self._request = connection, command, request
        self._personal: list[PreparedChannel] = []
        self._opening = 0
        """Personal channels that are not open yet."""
        self._timer: TimerHandle | None = None
        self._deadline_s = 0.0

    def start(self) -> None:
        """Authenticate the client, and answer at once if nothing has to wait. Raises what the answer is to say."""
        connection = self._connection
        if connection.hub.draining:
            raise DisconnectError(DisconnectCode.SHUTDOWN, "shutdown")
        identity = self._application.recognise(self._request.token, connection.context)
        if identity is None:
            self._wait()
            connection.hub.context.start(self._authenticate())
            return
        connection.on_authenticated(identity)
        channels = self._application.personal_channels(identity)
        if channels:
            self._wait()
            self._open(channels)
        else:
            complete_connect(connection, self._application, self._command.id, self._request, ())
            connection.on_connect_answered()

    def _wait(self) -> None:
        """Count the connect as under way, and answer with an error when it takes too long."""
        hub = self._connection.hub
        hub.admission.connects += 1
        self._deadline_s = hub.loop.time() + ANSWER_WITHIN_S
        self._timer = hub.loop.call_at(self._deadline_s, self._on_timeout)

    async def _authenticate(self) -> None:
        """Ask the application who connects; it may look into the database."""
        connection = self._connection
        try:
            async with timeout_at(self._deadline_s):
                identity = await self._application.authenticate(self._request.token, connection.context)
            channels = self._application.personal_channels(identity)
        except Exception as error:  # noqa: BLE001 - it is the connect's answer
            self._finish(error)
            return
        if connection.state != NEW:
            self._finish(None)
            return
        connection.on_authenticated(identity)
        self._open(channels)

    def _open(self, channels: Sequence[tuple[str, ChannelRule]]) -> None:
        """Pin the personal channels and continue when all are open."""
        hub = self._connection.hub
        self._personal = [PreparedChannel(hub.pin(name, rule.lane), rule) for name, rule in channels]
        opening = [channel.ready for channel, _ in self._personal if channel.ready is not None]
        self._opening = len(opening)
        for ready in opening:
            ready.add_done_callback(self._on_open)
        if not opening:
            self._recover()

    def _on_open(self, _ready: object) -> None:
        self._opening -= 1
        if not self._opening:
            self._connection.hub.admission.enqueue(self._recover)

    def _recover(self) -> None:
        """Answer; first have the channels read what the client missed, where they do not have it in memory."""
        connection = self._connection
        unread: list[tuple[ReplayedChannel, int]] = []
        for channel, _ in self._personal if connection.state == NEW else ():
            if isinstance(channel, ReplayedChannel) and channel.ready is None:
                offset = missed_from(connection.hub, self._request.subs.get(channel.name))
                if offset is not None and not channel.is_prepared(offset):
                    unread.append((channel, offset))
        if unread:
            connection.hub.context.start(self._prepare(unread))
        else:
            self._finish(None)

    async def _prepare(self, unread: Sequence[tuple[ReplayedChannel, int]]) -> None:
        failure: Exception | None = None
        try:
            for channel, offset in unread:
                await channel.prepare(offset)
        except Exception as error:  # noqa: BLE001 - it is the connect's answer
            failure = error
        self._finish(failure)

    def _finish(self, failure: BaseException | None) -> None:
        """Answer, unless that has been done or the connection has ended, and release the channels."""
        connection, command = self._connection, self._command
        if self._timer is not None:
            self._timer.cancel()
        connection.hub.admission.connects -= 1
        try:
            if connection.state != NEW:
                return
            with self._answering(connection, command):
                for channel, _ in self._personal:
                    if channel.ready is not None:
                        failure = failure or channel.ready.exception()
                if failure is not None:
                    raise failure
                complete_connect(connection, self._application, command.id, self._request, self._personal)
        finally:
            for channel, _ in self._personal:
                connection.hub.release(channel)
        connection.on_connect_answered()

    def _on_timeout(self) -> None:
        """Refuse for now. What the connect waits for goes on, and `_finish` releases the channels."""
        connection = self._connection
        if connection.state == NEW:
            with self._answering(connection, self._command):
                raise TimeoutError("a connect was not answered in time")
            connection.on_connect_answered()


def complete_connect(
    connection: Connection,
    application: ApplicationPort,
    command_id: int,
    request: ConnectRequest,
    personal: Sequence[PreparedChannel],
) -> None:
    """Join a client to its personal channels and answer its connect, reply first, then pushes.

    Raises: what `ApplicationPort.confirm` raises.
    """
    hub, identity = connection.hub, connection.identity
    application.confirm(
        identity
    )  # access may have been taken away while channels opened; nothing below waits
    subs: dict[str, SubscribeResult] = {}
    for channel, rule in personal:
        asked = request.subs.get(channel.name)
        subs[channel.name] = join_by_server(hub, connection, channel, rule, asked)
        connection.channels[channel.name] = channel
    connection.server_channels = tuple(subs)
    connection.on_connected(str(new_id()))
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
    connection.notify_connected()
    for channel, rule in personal:
        connection.on_subscribed(channel.name, rule)
