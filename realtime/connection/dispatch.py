"""From a command to its answer: the rules of the client protocol.

Refusals of the gate become error replies, its disconnects close the socket, anything unforeseen is `internal` and
logged; this is the one place that maps them. Commands that need the log or the gate's word are coroutines; RPCs are
not: their answer is written by the callback of the future the gate returned. Source: PROTOCOL 4-8.
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
from protocols.values import to_json
from protocols.wire.centrifuge import (
    Command,
    ConnectRequest,
    DisconnectCode,
    ErrorCode,
    RefreshRequest,
    RefreshResult,
    RPCRequest,
    SubRefreshRequest,
    SubRefreshResult,
    SubscribeRequest,
    UnsubscribeRequest,
    UnsubscribeResult,
)
from realtime.channels.replayed import ReplayedChannel
from realtime.connection.channel_queries import ChannelQuestions
from realtime.connection.connection import FAILED, NEW, OPEN, Connection
from realtime.connection.fast_connect import ANSWER_WITHIN_S, VERSION, FastConnect, Prepared, complete_connect
from realtime.connection.subscribing import is_epoch, join, seconds_left
from realtime.hooks import Cause
from realtime.hub import Hub
from realtime.ports import ApplicationPort, ChannelRule, DisconnectError, PendingReply, ProtocolError

_log = logging.getLogger(__name__)

_ROW_MAX = 128
"""Subscribes of one client that are prepared at the same time."""

_COSTS = {"connect": 4, "refresh": 4, "history": 4, "presence": 4, "publish": 2, "sub_refresh": 2}
"""Units of a command by its request: signatures, reads of the log and fan-out cost more than the others' one."""

_SPENT = frozenset({ErrorCode.TOO_MANY_REQUESTS, ErrorCode.METHOD_NOT_FOUND, RateLimited.number})
"""Error replies that a client cannot go on causing for long."""


class CommandDispatcher:
    """Serves the commands of every connection of a hub."""

    def __init__(self, hub: Hub, gate: ApplicationPort) -> None:
        """Join hub and application."""
        self._hub, self._gate = hub, gate
        self._limits = hub.limits
        self._questions = ChannelQuestions(hub, gate)

    # The two doors of a connection.

    def serve_now(self, connection: Connection, command: Command) -> bool:
        """Answer a command without waiting; False when it has to be `serve`d."""
        rpc = command.rpc
        if rpc is not None and connection.state == OPEN and command.id and _is_only(command):
            self._call(connection, command.id, rpc)
            return True
        if connection.state == NEW and command.connect is not None and command.id and command.ping is None:
            return False
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

    def enter(self, connection: Connection, pending: deque[Command]) -> bool:
        """Serve a connect, first of the pending commands, whose client is known at once; `served` tells when it is.

        False when it has to be `serve`d: its token needs a look at the database, or several channels wait.
        """
        command = pending[0]
        request = command.connect
        assert request is not None, "who is new connects"
        with self._answering(connection, command):
            if self._hub.draining:
                raise DisconnectError(DisconnectCode.SHUTDOWN, "shutdown")
            identity = self._gate.recognise(request.token, connection.context)
            channels = () if identity is None else self._gate.personal_channels(identity)
            if identity is None or len(channels) > 1:
                return False
            _charge(connection, command)
            connection.identified(identity)
            for name, rule in channels:
                opened = Prepared(self._hub.pin(name, rule.lane), rule)
                FastConnect(self._gate, self._answering, connection, command, opened)
                return True
            complete_connect(connection, self._gate, command.id, request, ())
        connection.served()
        return True

    async def serve(self, connection: Connection, pending: deque[Command]) -> None:
        """Answer the first pending command, which waits for the gate, the bus or the log; in time, whatever happens.

        Subscribes in a row are prepared together and answered in order.
        """
        command = pending.popleft()
        if command.subscribe is not None and pending and pending[0].subscribe is not None:
            await self._subscribe_in_a_row(connection, command, pending)
            return
        with self._answering(connection, command):
            _charge(connection, command)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if command.connect is not None:
                    await self._connect(connection, command.id, command.connect)
                elif command.subscribe is not None:
                    await self._subscribe(connection, command.id, command.subscribe)
                else:
                    await self._serve_other(connection, command)

    async def _serve_other(self, connection: Connection, command: Command) -> None:
        """Answer a command that is neither connect nor subscribe; the first known request counts."""
        questions = self._questions
        if command.publish is not None:
            await questions.publish(connection, command.id, command.publish)
        elif command.presence is not None:
            await questions.presence(connection, command.id, command.presence)
        elif command.presence_stats is not None:
            await questions.presence_stats(connection, command.id, command.presence_stats)
        elif command.history is not None:
            await questions.history(connection, command.id, command.history)
        elif command.refresh is not None:
            await self._refresh(connection, command.id, command.refresh)
        elif command.sub_refresh is not None:
            await self._sub_refresh(connection, command.id, command.sub_refresh)
        else:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")

    @contextmanager
    def _answering(self, connection: Connection, command: Command) -> Iterator[None]:
        """Turn whatever goes wrong into the command's answer, or the connection's end."""
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
        if error.code in _SPENT:
            connection.count_refusal()

    def _breaks_protocol(self, connection: Connection, command: Command) -> bool:
        """Disconnect a client that breaks the order of the protocol: connect first and once, ids, known requests."""
        is_pong = not command.id and not _requests(command)
        fits = command.connect is not None if connection.state == NEW else command.connect is None
        if connection.state == FAILED or (not fits and not (is_pong and connection.state == OPEN)):
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
            answer = self._gate.call(connection.identity, rpc.method, bytes(rpc.data))
        except Exception as error:  # noqa: BLE001 - every command is answered
            self._call_failed(connection, command_id, error)
            return
        if isinstance(answer, bytes):
            connection.answer(connection.codec.rpc_reply(command_id, answer))
        else:
            connection.in_flight += 1
            answer.add_done_callback(partial(self._called, connection, command_id))

    def _called(self, connection: Connection, command_id: int, answer: PendingReply) -> None:
        """Write the answer of an RPC that took its time."""
        if connection.state == OPEN:
            error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
            if error is None:
                connection.answer(connection.codec.rpc_reply(command_id, answer.result()))
            else:
                self._call_failed(connection, command_id, error)
        elif not answer.cancelled():
            answer.exception()  # the client left; nobody else looks at it
        connection.rpc_finished()

    @staticmethod
    def _call_failed(connection: Connection, command_id: int, error: BaseException) -> None:
        if isinstance(error, ProtocolError):
            connection.refuse(command_id, error.code, error.message, temporary=error.temporary)
            if error.code in _SPENT:
                connection.count_refusal()
        elif isinstance(error, DisconnectError):
            connection.disconnect(error.code, error.reason)
        else:
            if not isinstance(error, asyncio.CancelledError):
                _log.error("an RPC failed", exc_info=error)
            connection.refuse_internal(command_id)

    def _report_offset(self, connection: Connection, command_id: int, rpc: RPCRequest) -> None:
        """Note how far the client has processed a channel it follows. Raises ProtocolError 103, 107, 108."""
        reports = self._hub.reports
        if reports is None:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        try:
            report = msgspec.json.decode(bytes(rpc.data), type=ReportOffset)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request") from error
        channel = connection.channels.get(report.channel)
        if channel is None:
            raise ProtocolError(ErrorCode.PERMISSION_DENIED, "permission denied")
        if not isinstance(channel, ReplayedChannel) or report.offset > channel.head:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request")
        counts = reports.report(channel.name, connection.client, connection.user, report.offset)
        connection.answer(connection.codec.rpc_reply(command_id, to_json(OffsetReported(counts))))

    # Connect and refresh.

    async def _connect(self, connection: Connection, command_id: int, request: ConnectRequest) -> None:
        """Learn who it is and subscribe it to its personal channels; reply and pushes leave in that order."""
        if self._hub.draining:
            raise DisconnectError(DisconnectCode.SHUTDOWN, "shutdown")
        with self._hub.admission.connecting():
            await self._enter(connection, command_id, request)

    async def _enter(self, connection: Connection, command_id: int, request: ConnectRequest) -> None:
        identity = await self._gate.authenticate(request.token, connection.context)
        if connection.state != NEW:
            return
        connection.identified(identity)
        opened: list[Prepared] = []
        try:
            for name, rule in self._gate.personal_channels(identity):
                opened.append(await self._open(rule, request.subs.get(name), name))
            if connection.state == NEW:
                complete_connect(connection, self._gate, command_id, request, opened)
        finally:
            for channel, _ in opened:
                self._hub.release(channel)

    async def _refresh(self, connection: Connection, command_id: int, request: RefreshRequest) -> None:
        """Let the connection live as long as its newer token."""
        known = connection.identity
        if not known.expires_at_s:
            raise DisconnectError(DisconnectCode.BAD_REQUEST, "nothing to refresh")
        fresh = await self._gate.authenticate(request.token, connection.context)
        if (fresh.user, fresh.session) != (known.user, known.session):
            raise DisconnectError(DisconnectCode.INVALID_TOKEN, "invalid token")
        if connection.state != OPEN:
            return
        connection.renewed(fresh)
        result = RefreshResult(client=connection.client, version=VERSION)
        if fresh.expires_at_s:
            result.expires, result.ttl = True, seconds_left(fresh.expires_at_s)
        connection.answer(connection.codec.reply(command_id, result))

    async def _sub_refresh(self, connection: Connection, command_id: int, request: SubRefreshRequest) -> None:
        """Let a subscription live as long as its newer token."""
        name = request.channel
        if request.type:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        if name not in connection.channels:
            raise ProtocolError(ErrorCode.PERMISSION_DENIED, "permission denied")
        fresh = await self._gate.authorize(connection.identity, name, request.token)
        if connection.state != OPEN:
            return
        if name not in connection.channels:  # the server ended it meanwhile
            raise ProtocolError(ErrorCode.PERMISSION_DENIED, "permission denied")
        if fresh.grant is not None:
            fresh.grant.confirm()
        known = connection.rules.get(name)
        if known is not None:
            connection.remember(name, replace(known, expires_at_s=fresh.expires_at_s, grant=fresh.grant))
        result = SubRefreshResult()
        if fresh.expires_at_s:
            result.expires, result.ttl = True, seconds_left(fresh.expires_at_s)
        connection.answer(connection.codec.reply(command_id, result))

    # Subscribe and unsubscribe.

    async def _subscribe(self, connection: Connection, command_id: int, request: SubscribeRequest) -> None:
        prepared = await self._prepare(connection, request)
        try:
            self._finish(connection, command_id, request, prepared)
        finally:
            self._hub.release(prepared.channel)

    async def _subscribe_in_a_row(
        self, connection: Connection, first: Command, pending: deque[Command]
    ) -> None:
        """Prepare several subscribes at once; stop, and leave the rest pending, when the client has much to read."""
        row = [first]
        while pending and pending[0].subscribe is not None and pending[0].id and len(row) < _ROW_MAX:
            row.append(pending.popleft())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._prepare_calmly(connection, command)) for command in row]
        outcomes = [task.result() for task in tasks]
        for index, (command, outcome) in enumerate(zip(row, outcomes, strict=True)):
            if connection.state != OPEN:
                break
            if index and connection.still_blocked():
                pending.extendleft(reversed(row[index:]))
                break
            with self._answering(connection, command):
                if isinstance(outcome, Exception):
                    raise outcome
                assert command.subscribe is not None
                self._check_subscribe(connection, command.subscribe)
                self._finish(connection, command.id, command.subscribe, outcome)
        for outcome in outcomes:
            if isinstance(outcome, Prepared):
                self._hub.release(outcome.channel)

    async def _prepare_calmly(self, connection: Connection, command: Command) -> Prepared | Exception:
        assert command.subscribe is not None
        try:
            _charge(connection, command)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._prepare(connection, command.subscribe)
        except Exception as error:  # noqa: BLE001 - it is answered in its turn
            return error

    async def _prepare(self, connection: Connection, request: SubscribeRequest) -> Prepared:
        """Return the channel, pinned and holding what the client missed. Raises ProtocolError."""
        self._check_subscribe(connection, request)
        rule = await self._gate.authorize(connection.identity, request.channel, request.token)
        return await self._open(rule, request, request.channel)

    async def _open(self, rule: ChannelRule, request: SubscribeRequest | None, name: str) -> Prepared:
        channel = await self._hub.open(name, rule.lane)
        try:
            wishes = request is not None and request.recover and is_epoch(self._hub, request.epoch)
            if isinstance(channel, ReplayedChannel) and request is not None and wishes:
                await channel.prepare(request.offset)
        except BaseException:
            self._hub.release(channel)
            raise
        return Prepared(channel, rule)

    def _finish(
        self, connection: Connection, command_id: int, request: SubscribeRequest, prepared: Prepared
    ) -> None:
        """Join and answer, in one step."""
        if connection.state != OPEN:
            return
        channel, rule = prepared
        if rule.grant is not None:
            rule.grant.confirm()  # opening may have taken a while; nothing below waits
        result = join(self._hub, connection, channel, rule, request)
        connection.channels[channel.name] = channel
        connection.answer(connection.codec.reply(command_id, result))
        connection.came(channel.name, rule)

    def _check_subscribe(self, connection: Connection, request: SubscribeRequest) -> None:
        """Raise ProtocolError when the connection may not subscribe to this once more."""
        name = request.channel
        self._questions.check_channel(name)
        if name in connection.channels:
            raise ProtocolError(ErrorCode.ALREADY_SUBSCRIBED, "already subscribed")
        if len(connection.channels) >= self._limits.channels_per_connection_max:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "limit exceeded")
        if request.type:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")

    @staticmethod
    def _unsubscribe(connection: Connection, command_id: int, request: UnsubscribeRequest) -> None:
        """Leave a channel; leaving one it is not in is fine, leaving a server-side one is not the client's to do."""
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
