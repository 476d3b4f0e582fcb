"""From a command to its answer: the rules of the client protocol.

Refusals of the application become error replies, its disconnects close the connection, other exceptions are logged and
answered as internal errors; this is the one place that maps them. Commands that need the log, the bus or the
application are coroutines. RPCs are not: a callback of the application's future writes their answer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import msgspec

from protocols.channels import REPORT_OFFSET, OffsetReported, ReportOffset
from protocols.errors import Fault, RateLimited
from protocols.repetition import repeats_at_top
from protocols.values import to_json
from protocols.wire.centrifuge import (
    Command,
    DisconnectCode,
    ErrorCode,
    RefreshRequest,
    RefreshResult,
    RefusedCommand,
    RPCRequest,
    SubRefreshRequest,
    SubRefreshResult,
    SubscribeRequest,
    UnsubscribeCode,
    UnsubscribeRequest,
    UnsubscribeResult,
)
from realtime.channels.replayed import ReplayedChannel
from realtime.connection.channel_queries import ChannelQueries
from realtime.connection.connecting import ANSWER_WITHIN_S, VERSION, ConnectAttempt, PreparedChannel
from realtime.connection.connection import FAILED, NEW, OPEN, Connection
from realtime.connection.subscribing import check_not_expired, join, missed_from, seconds_left
from realtime.hooks import Cause
from realtime.hub import Hub
from realtime.ports import ApplicationPort, ChannelRule, DisconnectError, PendingReply, ProtocolError

_log = logging.getLogger(__name__)

_SUBSCRIBES_AT_ONCE = 128
"""Subscribes of one client that are prepared at the same time."""

_COSTS = {"connect": 4, "refresh": 4, "history": 4, "presence": 4, "publish": 2, "sub_refresh": 2}
"""Units of a command by its request: signatures, reads of the log and fan-out. All others cost one."""

_EXPIRED = frozenset({ErrorCode.TOKEN_EXPIRED, ErrorCode.EXPIRED})
"""What an application answers for a token whose time is past, and the core for a subscription."""

_COUNTED_ERRORS = frozenset({ErrorCode.TOO_MANY_REQUESTS, ErrorCode.METHOD_NOT_FOUND, RateLimited.number})
"""Error replies that take from the budget of refusals."""


class CommandDispatcher:
    """Serves the commands of every connection of a hub."""

    def __init__(self, hub: Hub, application: ApplicationPort) -> None:
        """Join hub and application."""
        self._hub, self._application = hub, application
        self._limits = hub.limits
        self._queries = ChannelQueries(hub, application)

    # Called by the connection.

    def serve_now(self, connection: Connection, command: Command) -> bool:
        """Answer a command without waiting; False for a connect and for commands that need `serve`."""
        rpc = command.rpc
        if rpc is not None and connection.state == OPEN and command.id and _is_only(command):
            self._call(connection, command.id, rpc)
            return True
        if connection.state == NEW and command.connect is not None and command.id and command.ping is None:
            return False
        if isinstance(command, RefusedCommand) and connection.state == OPEN:
            self._refuse_undecoded(connection, command)
            return True
        if self._breaks_protocol(connection, command):
            return True
        if command.subscribe:
            return False
        if command.unsubscribe is not None:
            with self._answering(connection, command):
                _charge(connection, command)
                self._unsubscribe(connection, command.id, command.unsubscribe)
        elif command.id:
            return False
        elif command.send is not None:
            connection.disconnect(DisconnectCode.NOT_AVAILABLE, "not available")
        else:
            connection.pong()
        return True

    @staticmethod
    def _refuse_undecoded(connection: Connection, command: RefusedCommand) -> None:
        """Answer a command that the codec refused; the others of its frame are served."""
        if command.id:
            surplus = command.code == ErrorCode.TOO_MANY_REQUESTS
            message = "too many commands in a frame" if surplus else "bad request"
            connection.refuse(command.id, command.code, message, temporary=surplus)
        connection.count_refusal()

    def connect_now(self, connection: Connection, command: Command) -> None:
        """Begin to serve a connect; `on_connect_answered` of the connection is called once it is answered."""
        request = command.connect
        assert request is not None, "a new connection is served nothing but its connect"
        with self._answering(connection, command):
            _charge(connection, command)
            ConnectAttempt(self._application, self._answering, connection, command, request).start()
            return
        connection.on_connect_answered()

    async def serve(self, connection: Connection, pending: deque[Command]) -> None:
        """Answer the first pending command, which needs I/O, within `ANSWER_WITHIN_S`, with an error if need be.

        Consecutive subscribes are prepared together and answered in order.
        """
        command = pending.popleft()
        if command.subscribe is not None and pending and pending[0].subscribe is not None:
            await self._subscribe_to_several(connection, command, pending)
            return
        with self._answering(connection, command):
            _charge(connection, command)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if command.subscribe is not None:
                    await self._subscribe(connection, command.id, command.subscribe)
                else:
                    await self._serve_other(connection, command)

    async def _serve_other(self, connection: Connection, command: Command) -> None:
        """Answer a command that is neither connect nor subscribe; of several requests the first below counts."""
        queries = self._queries
        if command.publish is not None:
            await queries.publish(connection, command.id, command.publish)
        elif command.presence is not None:
            await queries.presence(connection, command.id, command.presence)
        elif command.presence_stats is not None:
            await queries.presence_stats(connection, command.id, command.presence_stats)
        elif command.history is not None:
            await queries.history(connection, command.id, command.history)
        elif command.refresh is not None:
            await self._refresh(connection, command.id, command.refresh)
        elif command.sub_refresh is not None:
            await self._sub_refresh(connection, command.id, command.sub_refresh)
        else:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")

    @contextmanager
    def _answering(self, connection: Connection, command: Command) -> Iterator[None]:
        """Turn an exception inside into the command's answer, or the connection's end."""
        try:
            yield
        except ProtocolError as error:
            self._refuse(connection, command, error)
        except DisconnectError as error:
            connection.disconnect(error.code, error.reason)
        except Exception as error:  # noqa: BLE001 - every command is answered
            if isinstance(error, OSError | TimeoutError | Fault):
                _log.warning("a command could not be served: %r", error)
            else:
                _log.exception("a command failed")
            internal = ProtocolError(ErrorCode.INTERNAL, "internal server error", temporary=True)
            self._refuse(connection, command, internal)

    @staticmethod
    def _refuse(connection: Connection, command: Command, error: ProtocolError) -> None:
        if connection.state > FAILED:
            return
        refuse = connection.refuse if command.connect is None else connection.fail_connect
        refuse(command.id, error.code, error.message, temporary=error.temporary)
        if error.code in _COUNTED_ERRORS:
            connection.count_refusal()

    def _breaks_protocol(self, connection: Connection, command: Command) -> bool:
        """Disconnect a client that breaks the order of the protocol: connect first and once, ids, known requests."""
        is_pong = not command.id and not _requests(command)
        fits = command.connect is not None if connection.state == NEW else command.connect is None
        if not fits and not (is_pong and connection.state == OPEN):
            broken = True
        elif is_pong:
            broken = False
        else:
            broken = command.ping is not None or not _requests(command)
            broken = broken or (not command.id and command.send is None)
        if broken:
            connection.disconnect(DisconnectCode.BAD_REQUEST, "bad request")
        return broken

    # RPC.

    def _call(self, connection: Connection, command_id: int, rpc: RPCRequest) -> None:
        """Run an RPC; its answer is written now or by the future's callback."""
        if rpc.method == REPORT_OFFSET:
            with self._answering(connection, Command(command_id)):
                _charge(connection, Command(command_id))
                self._report_offset(connection, command_id, rpc)
            return
        try:
            answer = self._application.call(connection.identity, rpc.method, bytes(rpc.data))
        except Exception as error:  # noqa: BLE001 - every command is answered
            self._refuse_rpc(connection, command_id, error)
            return
        if isinstance(answer, bytes):
            connection.answer(connection.codec.rpc_reply(command_id, answer))
        else:
            connection.in_flight += 1
            answer.add_done_callback(partial(self._on_rpc_done, connection, command_id))

    def _on_rpc_done(self, connection: Connection, command_id: int, answer: PendingReply) -> None:
        """Write the answer of an RPC that was not answered at once."""
        if connection.state == OPEN:
            error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
            if error is None:
                connection.answer(connection.codec.rpc_reply(command_id, answer.result()))
            else:
                self._refuse_rpc(connection, command_id, error)
        elif not answer.cancelled():
            answer.exception()  # marks it as retrieved: the client has left
        connection.on_rpc_answered()

    @staticmethod
    def _refuse_rpc(connection: Connection, command_id: int, error: BaseException) -> None:
        if isinstance(error, ProtocolError):
            if error.reply:
                connection.answer(connection.codec.rpc_reply(command_id, error.reply))
            else:
                connection.refuse(command_id, error.code, error.message, temporary=error.temporary)
            if error.code in _COUNTED_ERRORS:
                connection.count_refusal()
        elif isinstance(error, DisconnectError):
            connection.disconnect(error.code, error.reason)
        else:
            if not isinstance(error, asyncio.CancelledError):
                _log.error("an RPC failed", exc_info=error)
            connection.refuse_internal(command_id)

    def _report_offset(self, connection: Connection, command_id: int, rpc: RPCRequest) -> None:
        """Note how far the client has processed a channel it follows. Raises ProtocolError 103, 107, 108."""
        offset_reports = self._hub.offset_reports
        if offset_reports is None:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        try:
            data = bytes(rpc.data)
            report = msgspec.json.decode(data, type=ReportOffset)
            if repeats_at_top(data):
                raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request") from error
        channel = connection.channels.get(report.channel)
        if channel is None:
            raise ProtocolError(ErrorCode.PERMISSION_DENIED, "permission denied")
        if not isinstance(channel, ReplayedChannel) or report.offset > channel.head:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request")
        counted = offset_reports.report(channel.name, connection.client, connection.user, report.offset)
        connection.answer(connection.codec.rpc_reply(command_id, to_json(OffsetReported(counted))))

    # Refresh.

    async def _refresh(self, connection: Connection, command_id: int, request: RefreshRequest) -> None:
        """Extend the connection to the expiry of a newer token."""
        known = connection.identity
        result = RefreshResult(client=connection.client, version=VERSION)
        if not known.expires_at_s:  # nothing ends, and nothing is extended
            connection.answer(connection.codec.reply(command_id, result))
            return
        try:
            fresh = await self._application.authenticate(request.token, connection.context)
        except ProtocolError as error:
            if error.code not in _EXPIRED:
                raise
            # An error would be final for the client; after this code it asks its app for another token.
            raise DisconnectError(DisconnectCode.EXPIRED, "expired") from error
        if (fresh.user, fresh.session) != (known.user, known.session):
            raise DisconnectError(DisconnectCode.INVALID_TOKEN, "invalid token")
        if connection.state != OPEN:
            return
        connection.on_refreshed(fresh)
        if fresh.expires_at_s:
            result.expires, result.ttl = True, seconds_left(fresh.expires_at_s)
        connection.answer(connection.codec.reply(command_id, result))

    async def _sub_refresh(self, connection: Connection, command_id: int, request: SubRefreshRequest) -> None:
        """Extend a subscription to the expiry of a newer token."""
        name = request.channel
        if request.type:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        if name not in connection.channels:
            raise ProtocolError(ErrorCode.PERMISSION_DENIED, "permission denied")
        try:
            fresh = await self._application.authorize(connection.identity, name, request.token)
            if fresh.delegation is not None:
                fresh.delegation.confirm()
            check_not_expired(fresh)
        except ProtocolError as error:
            if error.code in _EXPIRED:
                self._end_expired(connection, name)
                error.temporary = True  # as a final error it would end the next subscription
            raise
        if connection.state != OPEN:
            return
        if name not in connection.channels:  # the server ended it meanwhile
            raise ProtocolError(ErrorCode.PERMISSION_DENIED, "permission denied")
        known = connection.rule_of(name)
        if known is not None:
            connection.remember(
                name, replace(known, expires_at_s=fresh.expires_at_s, delegation=fresh.delegation)
            )
        result = SubRefreshResult()
        if fresh.expires_at_s:
            result.expires, result.ttl = True, seconds_left(fresh.expires_at_s)
        connection.answer(connection.codec.reply(command_id, result))

    @staticmethod
    def _end_expired(connection: Connection, name: str) -> None:
        """End a subscription whose new token has expired, so that the client asks its app for another one."""
        if name in connection.server_channels:
            raise DisconnectError(DisconnectCode.SUBSCRIPTION_EXPIRED, "subscription expired")
        connection.unsubscribe_by_server(name, UnsubscribeCode.EXPIRED, "subscription expired")

    # Subscribe and unsubscribe.

    async def _subscribe(self, connection: Connection, command_id: int, request: SubscribeRequest) -> None:
        prepared = await self._prepare(connection, request)
        try:
            self._finish(connection, command_id, request, prepared)
        finally:
            self._hub.release(prepared.channel)

    async def _subscribe_to_several(
        self, connection: Connection, first: Command, pending: deque[Command]
    ) -> None:
        """Prepare consecutive subscribes together; the rest stays pending when the client has too much to read."""
        commands = [first]
        while (
            pending
            and pending[0].subscribe is not None
            and pending[0].id
            and len(commands) < _SUBSCRIBES_AT_ONCE
        ):
            commands.append(pending.popleft())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._prepare_or_fail(connection, command)) for command in commands]
        outcomes = [task.result() for task in tasks]
        for index, (command, outcome) in enumerate(zip(commands, outcomes, strict=True)):
            if connection.state != OPEN:
                break
            if index and connection.is_over_limits():
                pending.extendleft(reversed(commands[index:]))
                break
            with self._answering(connection, command):
                if isinstance(outcome, Exception):
                    raise outcome
                assert command.subscribe is not None
                self._check_subscribe(connection, command.subscribe)
                self._finish(connection, command.id, command.subscribe, outcome)
        for outcome in outcomes:
            if isinstance(outcome, PreparedChannel):
                self._hub.release(outcome.channel)

    async def _prepare_or_fail(self, connection: Connection, command: Command) -> PreparedChannel | Exception:
        assert command.subscribe is not None
        try:
            _charge(connection, command)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._prepare(connection, command.subscribe)
        except Exception as error:  # noqa: BLE001 - it is the command's answer, written in order
            return error

    async def _prepare(self, connection: Connection, request: SubscribeRequest) -> PreparedChannel:
        """Return the channel, pinned and holding what the client missed. Raises ProtocolError."""
        self._check_subscribe(connection, request)
        rule = await self._application.authorize(connection.identity, request.channel, request.token)
        return await self._open(rule, request)

    async def _open(self, rule: ChannelRule, request: SubscribeRequest) -> PreparedChannel:
        channel = await self._hub.open(request.channel, rule.lane)
        try:
            offset = missed_from(self._hub, request)
            if isinstance(channel, ReplayedChannel) and offset is not None:
                await channel.prepare(offset)
        except BaseException:
            self._hub.release(channel)
            raise
        return PreparedChannel(channel, rule)

    def _finish(
        self, connection: Connection, command_id: int, request: SubscribeRequest, prepared: PreparedChannel
    ) -> None:
        """Join and answer, in one step."""
        if connection.state != OPEN:
            return
        channel, rule = prepared
        if rule.delegation is not None:
            rule.delegation.confirm()  # it may have been taken back while the channel opened; nothing below waits
        check_not_expired(rule)
        result = join(self._hub, connection, channel, rule, request)
        connection.channels[channel.name] = channel
        connection.answer(connection.codec.reply(command_id, result))
        connection.on_subscribed(channel.name, rule)

    def _check_subscribe(self, connection: Connection, request: SubscribeRequest) -> None:
        """Raise ProtocolError when the connection may not subscribe to this once more."""
        name = request.channel
        self._queries.check_channel(name)
        if name in connection.channels:
            raise ProtocolError(ErrorCode.ALREADY_SUBSCRIBED, "already subscribed")
        if len(connection.channels) >= self._limits.channels_per_connection_max:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "limit exceeded")
        if request.type:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")

    @staticmethod
    def _unsubscribe(connection: Connection, command_id: int, request: UnsubscribeRequest) -> None:
        """End a subscription that the client began; without one the answer is the same."""
        if request.channel in connection.server_channels:
            connection.refuse(command_id, ErrorCode.PERMISSION_DENIED, "permission denied")
            return
        connection.leave(request.channel, Cause.CLIENT)
        connection.answer(connection.codec.reply(command_id, UnsubscribeResult()))


def _charge(connection: Connection, command: Command) -> None:
    """Take what a command costs from its connection's budget. Raises ProtocolError 111."""
    cost = 1
    if command.subscribe is not None and command.connect is None:
        cost += command.subscribe.recover
    else:
        for name, units in _COSTS.items():
            if getattr(command, name) is not None:
                cost = units
                break
    if not connection.afford(cost):
        raise ProtocolError(ErrorCode.TOO_MANY_REQUESTS, "too many requests", temporary=True)


def _requests(command: Command) -> bool:
    """Whether the command asks for anything."""
    return any(getattr(command, name) is not None for name in command.__struct_fields__[1:])


def _is_only(command: Command) -> bool:
    """Whether the RPC is the first known request of the command."""
    return (
        command.connect is None
        and command.subscribe is None
        and command.unsubscribe is None
        and command.publish is None
        and command.history is None
        and command.send is None
        and command.ping is None
        and command.presence is None
        and command.presence_stats is None
    )
