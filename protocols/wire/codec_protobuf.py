"""Protobuf form of the client protocol: messages behind a varint length, payloads as opaque bytes.

The schema is `centrifuge.proto`; messages are parsed and written by the protobuf runtime (upb). What repeats for many
clients is written once and wrapped by hand: a field of message type is its tag, a varint length and the bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from msgspec import Raw, Struct
from msgspec.json import Decoder

from protocols.wire import centrifuge_pb2
from protocols.wire.centrifuge import (
    SURPLUS_FACTOR,
    ClientInfo,
    CodecError,
    Command,
    ConnectRequest,
    ConnectResult,
    EmulationRequest,
    ErrorCode,
    FilterNode,
    HistoryRequest,
    HistoryResult,
    PingRequest,
    PresenceRequest,
    PresenceResult,
    PresenceStatsRequest,
    PresenceStatsResult,
    PublishRequest,
    PublishResult,
    RefreshRequest,
    RefreshResult,
    RefusedCommand,
    Result,
    RPCRequest,
    SendRequest,
    StreamPosition,
    SubRefreshRequest,
    SubRefreshResult,
    SubscribeRequest,
    SubscribeResult,
    TooManyCommandsError,
    UnsubscribeRequest,
    UnsubscribeResult,
)

_Message = Any
pb: Any = centrifuge_pb2  # the generated module makes its classes at import, unseen by type checkers

_OFFSET_MAX = 0x7FFF_FFFF_FFFF_FFFF

# Tags of message-typed fields: number << 3 | 2.
_REPLY_PUSH = b"\x22"
_PUSH_PUB = b"\x22"
_RESULT_PUBLICATIONS = b"\x3a"
_HISTORY_PUBLICATIONS = b"\x0a"
_CONNECT_SUBS = b"\x32"
_ENTRY_VALUE = b"\x12"
_REPLY_FIELD: dict[type[Struct], bytes] = {
    ConnectResult: b"\x2a",
    SubscribeResult: b"\x32",
    UnsubscribeResult: b"\x3a",
    HistoryResult: b"\x5a",
    RefreshResult: b"\x72",
    PublishResult: b"\x42",
    PresenceResult: b"\x4a",
    PresenceStatsResult: b"\x52",
    SubRefreshResult: b"\x7a",
}
_read_info = Decoder(ClientInfo).decode


class ProtobufCodec:
    """The codec of clients that speak Protobuf; stateless."""

    name = "protobuf"
    binary = True
    ping = b"\x00"
    """The one-message frame that asks a client whether it lives."""

    def decode_commands(self, data: bytes, commands_max: int) -> list[Command]:
        """Return the commands of one frame, at least one.

        A command that cannot be decoded, and each above `commands_max`, is a `RefusedCommand`. Raises CodecError when a
        part of the frame is no command, TooManyCommandsError when it has too many to answer them all.
        """
        commands: list[Command] = []
        position, end = 0, len(data)
        while position < end:
            if len(commands) == commands_max * SURPLUS_FACTOR:
                raise TooManyCommandsError("too many commands in a frame")
            length, position = _read_varint(data, position)
            if length > end - position:
                raise CodecError("truncated command")
            message = data[position : position + length]
            if len(commands) < commands_max:
                commands.append(_decode_or_refuse(message))
            else:
                commands.append(RefusedCommand(_id_of(message), code=ErrorCode.TOO_MANY_REQUESTS))
            position += length
        if not commands:
            raise CodecError("no command in a frame")
        return commands

    def decode_emulation(self, data: bytes) -> EmulationRequest:
        """Return what a client of a stream posted. Raises CodecError."""
        try:
            message = pb.EmulationRequest.FromString(data)
        except DecodeError as error:
            raise CodecError("malformed request") from error
        return EmulationRequest(message.node, message.session, message.data)

    def join(self, messages: Sequence[bytes]) -> bytes:
        """Return the payload of one frame that carries these messages in order."""
        return messages[0] if len(messages) == 1 else b"".join(messages)

    def reply(self, command_id: int, result: Result) -> bytes:
        """Return the message that answers a command."""
        body = _WRITE[type(result)](result)
        return _delimited(_reply_id(command_id) + _field(_REPLY_FIELD[type(result)], body))

    def rpc_reply(self, command_id: int, data: bytes) -> bytes:
        """Return the message that answers an RPC with JSON text."""
        result = _field(b"\x0a", data) if data else b""
        return _delimited(_reply_id(command_id) + _field(b"\x6a", result))

    def error_reply(self, command_id: int, code: int, message: str, temporary: bool) -> bytes:  # noqa: FBT001
        """Return the message that refuses a command."""
        error = pb.Error(code=code, message=message, temporary=temporary)
        return _delimited(pb.Reply(id=command_id, error=error).SerializeToString())

    def publication(
        self,
        number: int,
        data: bytes,
        at_ms: int,
        key: str,
        tags: Mapping[str, str] | None = None,
        info: bytes = b"",
        *,
        delta: bool | None = None,
    ) -> bytes:
        """Return one publication, to be embedded in a push or a result; `delta`: whether the data is one."""
        message = pb.Publication(data=data, offset=number, time=at_ms, key=key, tags=tags, delta=bool(delta))
        if info:
            message.info.CopyFrom(_client_info(info))
        return bytes(message.SerializeToString())

    def embed(self, publications: Sequence[bytes]) -> list[Raw]:
        """Return encoded publications in the form results carry them."""
        return [Raw(publication) for publication in publications]

    def push_publications(self, channel: str, publications: Sequence[bytes], push_id: int = 0) -> list[bytes]:
        """Return one push message per encoded publication; a channel with a push id is named by it."""
        head = _push_head(channel, push_id).SerializeToString() + _PUSH_PUB
        return [
            _delimited(_field(_REPLY_PUSH, head + _varint(len(publication)) + publication))
            for publication in publications
        ]

    def push_presence(self, channel: str, what: str, info: bytes, push_id: int = 0) -> bytes:
        """Return the push that tells of a client's `join` or `leave`; `info` is a ClientInfo as JSON."""
        push = _push_head(channel, push_id)
        getattr(push, what).info.CopyFrom(_client_info(info))
        return _delimited(pb.Reply(push=push).SerializeToString())

    def push_subscribe(self, channel: str, result: SubscribeResult) -> bytes:
        """Return the push that begins a subscription from the server's side."""
        subscribe = pb.Subscribe(
            recoverable=result.recoverable,
            epoch=result.epoch,
            offset=result.offset,
            positioned=result.positioned,
        )
        return _delimited(pb.Reply(push=pb.Push(channel=channel, subscribe=subscribe)).SerializeToString())

    def push_unsubscribe(self, channel: str, code: int, reason: str) -> bytes:
        """Return the push that ends a subscription from the server's side."""
        push = pb.Push(channel=channel, unsubscribe=pb.Unsubscribe(code=code, reason=reason))
        return _delimited(pb.Reply(push=push).SerializeToString())

    def push_disconnect(self, code: int, reason: str) -> bytes:
        """Return the push that tells why the connection is about to close."""
        push = pb.Push(disconnect=pb.Disconnect(code=code, reason=reason))
        return _delimited(pb.Reply(push=push).SerializeToString())


def _push_head(channel: str, push_id: int) -> _Message:
    return pb.Push(id=push_id) if push_id else pb.Push(channel=channel)


def _client_info(info: bytes) -> _Message:
    read = _read_info(info)
    return pb.ClientInfo(
        user=read.user,
        client=read.client,
        conn_info=bytes(read.conn_info),
        chan_info=bytes(read.chan_info),
    )


def _varint(number: int) -> bytes:
    """Return a length in base 128, low group first."""
    if number < 0x80:
        return number.to_bytes(1, "little")
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a length and the position after it. Raises CodecError when it is cut off or absurd."""
    result = 0
    for shift in (0, 7, 14, 21, 28):
        if position >= len(data):
            raise CodecError("truncated length")
        group = data[position]
        position += 1
        result |= (group & 0x7F) << shift
        if group < 0x80:
            return result, position
    raise CodecError("absurd length")


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _delimited(message: bytes) -> bytes:
    return _varint(len(message)) + message


def _reply_id(command_id: int) -> bytes:
    return b"\x08" + _varint(command_id) if command_id else b""


# Reading: one function per request. ListFields gives set fields by number, so "the first known wins".


def _decode_or_refuse(data: bytes) -> Command:
    """Return one command, or the refusal of one whose id can be read. Raises CodecError."""
    try:
        return _decode_command(data)
    except (DecodeError, CodecError) as error:
        number = _id_of(data)
        if not number:
            raise CodecError("malformed command") from error
        return RefusedCommand(number)


def _id_of(data: bytes) -> int:
    """Return the id of a command without looking into its request; 0 without one.

    Read as an `Error`, whose code has the id's number and whose other fields no command has.
    """
    try:
        return int(pb.Error.FromString(data).code)
    except DecodeError:
        return 0


def _decode_command(data: bytes) -> Command:
    message = pb.Command.FromString(data)
    for field, request in message.ListFields():
        if field.number > 1:
            return Command(message.id, **{field.name: _READ[field.name](request)})  # type: ignore[arg-type]
    return Command(message.id)


def _offset(number: int) -> int:
    if number > _OFFSET_MAX:
        raise CodecError("absurd offset")
    return number


def _read_subscribe(m: _Message) -> SubscribeRequest:
    return SubscribeRequest(
        channel=m.channel,
        token=m.token,
        recover=m.recover,
        epoch=m.epoch,
        offset=_offset(m.offset),
        data=Raw(m.data),
        positioned=m.positioned,
        recoverable=m.recoverable,
        join_leave=m.join_leave,
        delta=m.delta,
        tf=_read_filter(m.tf) if m.HasField("tf") else None,
        flag=m.flag,
        type=m.type,
    )


def _read_filter(m: _Message) -> FilterNode:
    """Read a filter; the runtime has refused what is nested too deep."""
    nodes = [_read_filter(node) for node in m.nodes]
    return FilterNode(m.op, m.key, m.cmp, m.val, list(m.vals), nodes)


def _read_connect(m: _Message) -> ConnectRequest:
    return ConnectRequest(
        token=m.token,
        data=Raw(m.data),
        subs={channel: _read_subscribe(request) for channel, request in m.subs.items()},
        name=m.name,
        version=m.version,
        headers=dict(m.headers),
    )


def _read_history(m: _Message) -> HistoryRequest:
    since = StreamPosition(_offset(m.since.offset), m.since.epoch) if m.HasField("since") else None
    return HistoryRequest(m.channel, m.limit, since, m.reverse)


_READ: dict[str, Callable[[Any], Struct]] = {
    "connect": _read_connect,
    "subscribe": _read_subscribe,
    "unsubscribe": lambda m: UnsubscribeRequest(m.channel),
    "publish": lambda m: PublishRequest(m.channel, Raw(m.data), m.type, m.key, m.removed),
    "presence": lambda m: PresenceRequest(m.channel),
    "presence_stats": lambda m: PresenceStatsRequest(m.channel),
    "history": _read_history,
    "ping": lambda _: PingRequest(),
    "send": lambda m: SendRequest(Raw(m.data)),
    "rpc": lambda m: RPCRequest(m.method, Raw(m.data)),
    "refresh": lambda m: RefreshRequest(m.token),
    "sub_refresh": lambda m: SubRefreshRequest(m.channel, m.token),
}


# Writing: one function per result.


def _write_subscribe(result: SubscribeResult) -> bytes:
    message = pb.SubscribeResult(
        expires=result.expires,
        ttl=result.ttl,
        recoverable=result.recoverable,
        epoch=result.epoch,
        recovered=result.recovered,
        offset=result.offset,
        positioned=result.positioned,
        was_recovering=result.was_recovering,
        delta=result.delta,
        id=result.id,
    ).SerializeToString()
    return b"".join([message, *(_field(_RESULT_PUBLICATIONS, bytes(p)) for p in result.publications)])


def _write_connect(result: ConnectResult) -> bytes:
    message = pb.ConnectResult(
        client=result.client,
        version=result.version,
        expires=result.expires,
        ttl=result.ttl,
        data=bytes(result.data),
        ping=result.ping,
        pong=result.pong,
        session=result.session,
        node=result.node,
        time=result.time,
    ).SerializeToString()
    entries = (
        _field(_CONNECT_SUBS, _field(b"\x0a", name.encode()) + _field(_ENTRY_VALUE, _write_subscribe(sub)))
        for name, sub in result.subs.items()
    )
    return b"".join([message, *entries])


def _write_history(result: HistoryResult) -> bytes:
    position = pb.HistoryResult(epoch=result.epoch, offset=result.offset).SerializeToString()
    return b"".join([*(_field(_HISTORY_PUBLICATIONS, bytes(p)) for p in result.publications), position])


def _write_refresh(result: RefreshResult) -> bytes:
    message = pb.RefreshResult(
        client=result.client, version=result.version, expires=result.expires, ttl=result.ttl
    )
    return bytes(message.SerializeToString())


def _write_sub_refresh(result: SubRefreshResult) -> bytes:
    return bytes(pb.SubRefreshResult(expires=result.expires, ttl=result.ttl).SerializeToString())


def _write_presence(result: PresenceResult) -> bytes:
    message = pb.PresenceResult()
    for client, info in result.presence.items():
        message.presence[client].CopyFrom(_client_info(bytes(info)))
    return bytes(message.SerializeToString())


def _write_presence_stats(result: PresenceStatsResult) -> bytes:
    message = pb.PresenceStatsResult(num_clients=result.num_clients, num_users=result.num_users)
    return bytes(message.SerializeToString())


_WRITE: dict[type[Struct], Callable[[Any], bytes]] = {
    ConnectResult: _write_connect,
    SubscribeResult: _write_subscribe,
    UnsubscribeResult: lambda _: b"",
    HistoryResult: _write_history,
    RefreshResult: _write_refresh,
    SubRefreshResult: _write_sub_refresh,
    PublishResult: lambda _: b"",
    PresenceResult: _write_presence,
    PresenceStatsResult: _write_presence_stats,
}
