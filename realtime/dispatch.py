"""From a command to its answer: the rules of the client protocol.

Refusals of the gate become error replies, its disconnects close the socket, anything unforeseen is `internal` and
logged; this is the one place that maps them. Commands that need the log or the gate's word are coroutines; RPCs are
not: their answer is written by the callback of the future the gate returned. Source: PROTOCOL 4-8.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from protocols.centrifuge import (
    REJECT_UNRECOVERED,
    Command,
    ConnectRequest,
    ConnectResult,
    DisconnectCode,
    ErrorCode,
    HistoryRequest,
    HistoryResult,
    RefreshRequest,
    RefreshResult,
    RPCRequest,
    SubscribeRequest,
    SubscribeResult,
    UnsubscribeRequest,
    UnsubscribeResult,
)
from protocols.errors import Fault
from protocols.values import new_id
from realtime.channel import Channel
from realtime.connection import FAILED, NEW, OPEN, Connection
from realtime.hub import Hub
from realtime.latest import LatestChannel
from realtime.ports import ChannelRule, DisconnectError, Entry, Gate, Lane, PendingReply, ProtocolError
from realtime.publication import Publication
from realtime.replayed import ReplayedChannel

_log = logging.getLogger(__name__)

_VERSION = "mnbara"
_ANSWER_WITHIN_S = 4.0
"""A client waits five seconds for an answer and then drops the connection (PROTOCOL 13)."""

_ROW_MAX = 128
"""Subscribes of one client that are prepared at the same time."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A channel ready to be joined, pinned, and how it behaves for the client."""

    channel: Channel
    rule: ChannelRule


class CommandDispatcher:
    """Serves the commands of every connection of a hub."""

    def __init__(self, hub: Hub, gate: Gate) -> None:
        """Join hub and application."""
        self._hub, self._gate = hub, gate
        self._limits = hub.limits

    # The two doors of a connection.

    def serve_now(self, connection: Connection, command: Command) -> bool:
        """Answer a command without waiting; False when it has to be `serve`d."""
        rpc = command.rpc
        if rpc is not None and connection.state == OPEN and command.id and _is_only(command):
            self._call(connection, command.id, rpc)
            return True
        if self._breaks_protocol(connection, command):
            return True
        if command.connect or command.subscribe or command.history or command.refresh:
            return False
        if command.unsubscribe is not None:
            self._unsubscribe(connection, command.id, command.unsubscribe)
        elif command.send is not None:
            connection.disconnect(DisconnectCode.NOT_AVAILABLE, "not available")
        elif command.id:
            connection.refuse(command.id, ErrorCode.NOT_AVAILABLE, "not available")
        else:
            connection.pong()
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
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                if command.connect is not None:
                    await self._connect(connection, command.id, command.connect)
                elif command.subscribe is not None:
                    await self._subscribe(connection, command.id, command.subscribe)
                elif command.history is not None:
                    await self._history(connection, command.id, command.history)
                elif command.refresh is not None:
                    await self._refresh(connection, command.id, command.refresh)

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
        elif isinstance(error, DisconnectError):
            connection.disconnect(error.code, error.reason)
        else:
            if not isinstance(error, asyncio.CancelledError):
                _log.error("an RPC failed", exc_info=error)
            connection.refuse_internal(command_id)

    # Connect and refresh.

    async def _connect(self, connection: Connection, command_id: int, request: ConnectRequest) -> None:
        """Learn who it is and subscribe it to its personal channels; reply and pushes leave in that order."""
        if self._hub.draining:
            raise DisconnectError(DisconnectCode.SHUTDOWN, "shutdown")
        identity = await self._gate.authenticate(request.token, connection.context)
        if connection.state != NEW:
            return
        connection.identified(identity)
        pinned: list[ReplayedChannel] = []
        try:
            for name in self._gate.personal_channels(identity):
                channel = await self._hub.open(name, Lane.REPLAYED)
                assert isinstance(channel, ReplayedChannel)
                pinned.append(channel)
                wish = request.subs.get(name)
                if wish is not None and wish.recover and self._same_epoch(wish.epoch):
                    await channel.prepare(wish.offset)
            if connection.state != NEW:
                return
            self._gate.confirm(identity)  # opening may have taken a while; nothing below waits
            subs = {c.name: self._join(connection, c, request.subs.get(c.name)) for c in pinned}
            connection.server_channels = tuple(subs)
        finally:
            for channel in pinned:
                self._hub.release(channel)
        connection.opened(str(new_id()))
        result = ConnectResult(
            client=connection.client,
            version=_VERSION,
            subs=subs,
            ping=max(1, round(self._limits.ping_s)),
            pong=True,
            time=int(time.time() * 1000),
            session=connection.context.stream_session,
            node=connection.context.stream_node,
        )
        if identity.expires_at_s:
            result.expires, result.ttl = True, _ttl(identity.expires_at_s)
        connection.answer(connection.codec.reply(command_id, result))

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
        result = RefreshResult(client=connection.client, version=_VERSION)
        if fresh.expires_at_s:
            result.expires, result.ttl = True, _ttl(fresh.expires_at_s)
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
            if isinstance(outcome, _Prepared):
                self._hub.release(outcome.channel)

    async def _prepare_calmly(self, connection: Connection, command: Command) -> "_Prepared | Exception":
        assert command.subscribe is not None
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await self._prepare(connection, command.subscribe)
        except Exception as error:  # noqa: BLE001 - it is answered in its turn
            return error

    async def _prepare(self, connection: Connection, request: SubscribeRequest) -> "_Prepared":
        """Return the channel, pinned and holding what the client missed. Raises ProtocolError."""
        self._check_subscribe(connection, request)
        rule = await self._gate.authorize(connection.identity, request.channel)
        channel = await self._hub.open(request.channel, rule.lane)
        try:
            if isinstance(channel, ReplayedChannel) and request.recover and self._same_epoch(request.epoch):
                await channel.prepare(request.offset)
        except BaseException:
            self._hub.release(channel)
            raise
        return _Prepared(channel, rule)

    def _finish(
        self, connection: Connection, command_id: int, request: SubscribeRequest, prepared: "_Prepared"
    ) -> None:
        """Join and answer, in one step."""
        channel = prepared.channel
        if connection.state != OPEN:
            return
        if isinstance(channel, ReplayedChannel):
            self._check_position(channel, request)
            result = self._join(connection, channel, request)
        else:
            assert isinstance(channel, LatestChannel)
            result = self._join_latest(connection, channel, prepared.rule, request)
        connection.answer(connection.codec.reply(command_id, result))

    def _check_subscribe(self, connection: Connection, request: SubscribeRequest) -> None:
        """Raise ProtocolError when the connection may not subscribe to this once more."""
        name = request.channel
        self._check_channel(name)
        if name in connection.channels:
            raise ProtocolError(ErrorCode.ALREADY_SUBSCRIBED, "already subscribed")
        if len(connection.channels) >= self._limits.channels_per_connection_max:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "limit exceeded")
        if request.type:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")

    def _check_position(self, channel: ReplayedChannel, request: SubscribeRequest) -> None:
        """Raise ProtocolError 112 when the client insists on a recovery that is impossible."""
        insists = request.recover and request.flag & REJECT_UNRECOVERED
        if insists and (not self._same_epoch(request.epoch) or channel.since(request.offset) is None):
            self._hub.counters.recoveries_refused += 1
            raise ProtocolError(ErrorCode.UNRECOVERABLE_POSITION, "unrecoverable position")

    def _join(
        self, connection: Connection, channel: ReplayedChannel, request: SubscribeRequest | None
    ) -> SubscribeResult:
        """Register and say where the subscription stands, in one step: no push can come in between."""
        result = SubscribeResult(
            recoverable=True, positioned=True, epoch=self._hub.log.epoch, offset=channel.head
        )
        if request is not None and request.recover:
            result.was_recovering = True
            missed = channel.since(request.offset) if self._same_epoch(request.epoch) else None
            if missed is None:
                self._hub.counters.recoveries_refused += 1
            else:
                self._hub.counters.recoveries += 1
                result.recovered, result.offset = True, request.offset
                codec = connection.codec
                result.publications = codec.embed([publication.encoded(codec) for publication in missed])
        channel.add(connection)
        connection.channels[channel.name] = channel
        return result

    def _join_latest(
        self,
        connection: Connection,
        channel: LatestChannel,
        rule: ChannelRule,
        request: SubscribeRequest,
    ) -> SubscribeResult:
        """Register; a recovering client gets the newest values, which is all there is to recover."""
        result = SubscribeResult(recoverable=True, epoch=self._hub.log.epoch, offset=channel.top())
        if request.recover:
            result.was_recovering = True
            values = channel.current(rule.interval_ms)
            if values:
                codec = connection.codec
                result.recovered, result.offset = True, request.offset
                result.publications = codec.embed([value.encoded(codec) for value in values])
                self._hub.counters.recoveries += 1
        channel.add(connection, rule.interval_ms)
        connection.channels[channel.name] = channel
        return result

    @staticmethod
    def _unsubscribe(connection: Connection, command_id: int, request: UnsubscribeRequest) -> None:
        """Leave a channel; leaving one it is not in is fine, leaving a server-side one is not the client's to do."""
        if request.channel in connection.server_channels:
            connection.refuse(command_id, ErrorCode.PERMISSION_DENIED, "permission denied")
            return
        connection.leave(request.channel)
        connection.answer(connection.codec.reply(command_id, UnsubscribeResult()))

    # History.

    async def _history(self, connection: Connection, command_id: int, request: HistoryRequest) -> None:
        """Answer a page of a replayed channel and its top position."""
        name = request.channel
        self._check_channel(name)
        rule = await self._gate.authorize(connection.identity, name)
        if rule.lane is not Lane.REPLAYED:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        since = request.since
        if since is not None and not self._same_epoch(since.epoch):
            raise ProtocolError(ErrorCode.UNRECOVERABLE_POSITION, "unrecoverable position")
        top = (await self._hub.log.heads([name])).get(name, 0)
        limit = self._limits.history_entries_max
        if 0 <= request.limit < limit:
            limit = request.limit
        entries: Sequence[Entry] = ()
        if limit and request.reverse:
            before = since.offset if since is not None else top + 1
            entries = await self._hub.log.read_backward(name, before, limit)
        elif limit:
            after = since.offset if since is not None else 0
            entries = await self._hub.log.read(name, after, limit)
            trimmed = entries[0].number != after + 1 if entries else after < top
            if since is not None and trimmed:
                raise ProtocolError(ErrorCode.UNRECOVERABLE_POSITION, "unrecoverable position")
        if connection.state != OPEN:
            return
        codec = connection.codec
        page = [Publication(entry) for entry in self._within_bytes(entries)]
        result = HistoryResult(
            publications=codec.embed([publication.encoded(codec) for publication in page]),
            epoch=self._hub.log.epoch,
            offset=max(top, *(publication.number for publication in page), 0),
        )
        connection.answer(codec.reply(command_id, result))

    def _within_bytes(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return as many entries as one answer may carry, at least one."""
        size = 0
        for index, entry in enumerate(entries):
            size += len(entry.data)
            if size > self._limits.history_bytes_max and index:
                return entries[:index]
        return entries

    def _check_channel(self, name: str) -> None:
        """Raise ProtocolError 107 for a name no channel can have."""
        if not name or len(name.encode()) > self._limits.channel_name_max:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request")

    def _same_epoch(self, epoch: str) -> bool:
        return epoch in {"", self._hub.log.epoch}


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


def _ttl(expires_at_s: int) -> int:
    return max(1, expires_at_s - int(time.time()))
