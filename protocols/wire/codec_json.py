"""JSON form of the client protocol: objects joined by newlines, payloads embedded as they are.

A raw newline inside an object would break every client that splits frames on it, so embedded JSON loses its raw
newlines here (they can only be insignificant white space).
"""

import re
from collections.abc import Mapping, Sequence

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, Encoder

from protocols.repetition import repeats, repeats_at_top
from protocols.wire.centrifuge import (
    SURPLUS_FACTOR,
    CodecError,
    Command,
    ConnectResult,
    EmulationRequest,
    ErrorCode,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
    RefreshResult,
    RefusedCommand,
    Result,
    SubRefreshResult,
    SubscribeResult,
    TooManyCommandsError,
    UnsubscribeResult,
)


class _Posted(Struct, gc=False):
    """An `EmulationRequest` on the wire: the commands are a string, never base64."""

    node: str = ""
    session: str = ""
    data: str = ""


_decoder = Decoder(Command)
_members = Decoder(dict[str, Raw])
_posted_decoder = Decoder(_Posted)
_encoder = Encoder()

_FIRST_ID = re.compile(rb'\s{0,16}\{\s{0,16}"id"\s{0,16}:\s{0,16}([1-9][0-9]{0,9})\s{0,16},')
_LAST_ID = re.compile(rb',\s{0,16}"id"\s{0,16}:\s{0,16}([1-9][0-9]{0,9})\s{0,16}\}\s{0,16}\Z')
_ID_BYTES = 128
"""Where the id of a command that cannot be decoded is looked for at its end. Every SDK writes the id as the first or as
the last member."""
_ID_MAX = 0xFFFF_FFFF
_UNREADABLE = (DecodeError, ValueError, RecursionError)

_FIELD: dict[type[Struct], bytes] = {
    ConnectResult: b"connect",
    SubscribeResult: b"subscribe",
    UnsubscribeResult: b"unsubscribe",
    HistoryResult: b"history",
    RefreshResult: b"refresh",
    SubRefreshResult: b"sub_refresh",
    PublishResult: b"publish",
    PresenceResult: b"presence",
    PresenceStatsResult: b"presence_stats",
}


_RPC_MEMBERS = 4
"""`id`, `rpc`, `method` and `data`."""
_RPC_BYTES = len('{"id":1,"rpc":{"method":"","data":}}')
"""What an RPC takes at least beside its method and data."""
_MEMBER_BYTES = len('"id":1,')
"""What a second member takes at least: of an RPC's own, or two of another name."""


class JsonCodec:
    """The codec of clients that speak JSON; stateless."""

    name = "json"
    binary = False
    ping = b"{}"
    """The one-object frame that asks a client whether it lives."""

    def decode_commands(self, data: bytes, commands_max: int) -> list[Command]:
        """Return the commands of one frame, at least one.

        A command that cannot be decoded or names a member twice, and each above `commands_max`, is a `RefusedCommand`.
        The data of an RPC is not looked into: its own decoder refuses. Raises CodecError when a part of the frame is no
        command, TooManyCommandsError when it has too many to answer them all.
        """
        try:
            if not data.isascii():
                data.decode()  # embedded payloads are not looked into otherwise
            if b"\n" not in data:
                return [_once(_decoder.decode(data), data)]
            if data.count(b"\n") < commands_max:
                lines = [line for line in data.split(b"\n") if line and not line.isspace()]
                if lines:
                    return [_once(_decoder.decode(line), line) for line in lines]
        except _UNREADABLE:
            pass  # which command is to blame is found below
        return _decode_each(data, commands_max)

    def decode_emulation(self, data: bytes) -> EmulationRequest:
        """Return what a client of a stream posted; a member comes once. Raises CodecError."""
        try:
            posted = _posted_decoder.decode(data)
            if repeats_at_top(data):
                raise CodecError("a member twice")
            return EmulationRequest(posted.node, posted.session, posted.data.encode())
        except (DecodeError, UnicodeError, RecursionError) as error:
            raise CodecError("malformed request") from error

    def join(self, messages: Sequence[bytes]) -> bytes:
        """Return the payload of one frame that carries these messages in order."""
        return messages[0] if len(messages) == 1 else b"\n".join(messages)

    def reply(self, command_id: int, result: Result) -> bytes:
        """Return the message that answers a command."""
        return b'{"id":%d,"%b":%b}' % (command_id, _FIELD[type(result)], _encoder.encode(result))

    def rpc_reply(self, command_id: int, data: bytes) -> bytes:
        """Return the message that answers an RPC with JSON text."""
        if not data:
            return b'{"id":%d,"rpc":{}}' % command_id
        return b'{"id":%d,"rpc":{"data":%b}}' % (command_id, _one_line(data))

    def error_reply(self, command_id: int, code: int, message: str, temporary: bool) -> bytes:  # noqa: FBT001
        """Return the message that refuses a command."""
        rest = b',"temporary":true' if temporary else b""
        return b'{"id":%d,"error":{"code":%d,"message":%b%b}}' % (
            command_id,
            code,
            _encoder.encode(message),
            rest,
        )

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
        """Return one publication, to be embedded in a push or a result.

        `delta` belongs to subscriptions with delta, whose data is a string: True when it is a delta, False when not.
        """
        rest = b',"key":' + _encoder.encode(key) if key else b""
        if tags:
            rest += b',"tags":' + _encoder.encode(tags)
        if info:
            rest += b',"info":' + info
        if delta is None:
            return b'{"data":%b,"offset":%d,"time":%d%b}' % (_one_line(data), number, at_ms, rest)
        if delta:
            rest += b',"delta":true'
        return b'{"data":%b,"offset":%d,"time":%d%b}' % (_encoder.encode(data.decode()), number, at_ms, rest)

    def embed(self, publications: Sequence[bytes]) -> list[Raw]:
        """Return encoded publications in the form results carry them."""
        return [Raw(publication) for publication in publications]

    def push_publications(self, channel: str, publications: Sequence[bytes], push_id: int = 0) -> list[bytes]:
        """Return one push message per encoded publication; a channel with a push id is named by it."""
        head = _push_head(channel, push_id) + b',"pub":'
        return [head + publication + b"}}" for publication in publications]

    def push_presence(self, channel: str, what: str, info: bytes, push_id: int = 0) -> bytes:
        """Return the push that tells of a client's `join` or `leave`; `info` is a ClientInfo as JSON."""
        return b'%b,"%b":{"info":%b}}}' % (_push_head(channel, push_id), what.encode(), info)

    def push_subscribe(self, channel: str, result: SubscribeResult) -> bytes:
        """Return the push that begins a subscription from the server's side."""
        subscribe = {
            name: value
            for name in ("recoverable", "epoch", "offset", "positioned")
            if (value := getattr(result, name))
        }
        return _encoder.encode({"push": {"channel": channel, "subscribe": subscribe}})

    def push_unsubscribe(self, channel: str, code: int, reason: str) -> bytes:
        """Return the push that ends a subscription from the server's side."""
        return _encoder.encode(
            {"push": {"channel": channel, "unsubscribe": {"code": code, "reason": reason}}}
        )

    def push_disconnect(self, code: int, reason: str) -> bytes:
        """Return the push that tells why the connection is about to close."""
        return _encoder.encode({"push": {"disconnect": {"code": code, "reason": reason}}})


def _decode_each(data: bytes, commands_max: int) -> list[Command]:
    """Return the commands of a frame that has a bad one or many. Raises CodecError."""
    if data.count(b"\n") > commands_max * SURPLUS_FACTOR:
        raise TooManyCommandsError("too many commands in a frame")
    commands: list[Command] = []
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        command = _decode_or_refuse(line)
        if len(commands) >= commands_max:
            command = RefusedCommand(command.id, code=ErrorCode.TOO_MANY_REQUESTS)
        commands.append(command)
    if not commands:
        raise CodecError("no command in a frame")
    return commands


def _decode_or_refuse(line: bytes) -> Command:
    """Return one command, or the refusal of one whose id can be read. Raises CodecError."""
    try:
        if not line.isascii():
            line.decode()
        return _once(_decoder.decode(line), line)
    except _UNREADABLE as error:
        found = _FIRST_ID.match(line) or _LAST_ID.search(line[-_ID_BYTES:])
        number = int(found[1]) if found is not None and line.rstrip().endswith(b"}") else 0
        if not 0 < number <= _ID_MAX:
            raise CodecError("malformed command") from error
        return RefusedCommand(number)


def _once(command: Command, text: bytes) -> Command:
    """Return a command that was decoded from this text, or its refusal when the text names a member twice.

    An RPC that has its members repeats none when its text is too short for a second one (as SDKs write it), or has no
    more colons than members.
    """
    rpc = command.rpc
    if rpc is None:
        repeated = text.count(b":") > 1 and repeats(text)
    else:
        data = bytes(rpc.data)
        rpc.data = data  # type: ignore[assignment]  # the same bytes: copied once
        if data and rpc.method and command.id:
            rest = len(text) - len(data) - len(rpc.method)
            if rest < _RPC_BYTES + _MEMBER_BYTES or text.count(b":") - data.count(b":") == _RPC_MEMBERS:
                return command
        repeated = repeats_at_top(text) or repeats_at_top(bytes(_members.decode(text)["rpc"]))
    if not repeated:
        return command
    if not command.id:
        raise CodecError("a member twice")
    return RefusedCommand(command.id)


def _push_head(channel: str, push_id: int) -> bytes:
    if push_id:
        return b'{"push":{"id":%d' % push_id
    return b'{"push":{"channel":' + _encoder.encode(channel)


def _one_line(data: bytes) -> bytes:
    """Return JSON text without raw newlines; its length stays."""
    return data.replace(b"\n", b" ") if b"\n" in data else data
