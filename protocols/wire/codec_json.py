"""JSON form of the client protocol: objects joined by newlines, payloads embedded as they are.

A raw newline inside an object would break every client that splits frames on it, so embedded JSON loses its raw
newlines here (they can only be insignificant white space).
"""

from collections.abc import Mapping, Sequence

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, Encoder

from protocols.repetition import repeats, repeats_at_top
from protocols.wire.centrifuge import (
    AmbiguousCommand,
    CodecError,
    Command,
    ConnectResult,
    EmulationRequest,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
    RefreshResult,
    Result,
    SubRefreshResult,
    SubscribeResult,
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


class JsonCodec:
    """The codec of clients that speak JSON; stateless."""

    name = "json"
    binary = False
    ping = b"{}"
    """The one-object frame that asks a client whether it lives."""

    def decode_commands(self, data: bytes, commands_max: int) -> list[Command]:
        """Return the commands of one frame, at least one; `AmbiguousCommand` for one that names a member twice.

        The data of an RPC is not looked into: its own decoder refuses. Raises: CodecError.
        """
        try:
            if not data.isascii():
                data.decode()  # embedded payloads are not looked into otherwise
            if b"\n" not in data:
                return [_once(_decoder.decode(data), data)]
            if data.count(b"\n") >= commands_max + 1:  # one trailing newline is harmless
                raise CodecError("too many commands in a frame")
            lines = [line for line in data.split(b"\n") if line and not line.isspace()]
            commands = [_once(_decoder.decode(line), line) for line in lines]
        except (DecodeError, ValueError, RecursionError) as error:
            raise CodecError("malformed command") from error
        if not 1 <= len(commands) <= commands_max:
            raise CodecError("no command, or too many in a frame")
        return commands

    def decode_emulation(self, data: bytes) -> EmulationRequest:
        """Return what a client of a stream posted. Raises CodecError."""
        try:
            posted = _posted_decoder.decode(data)
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


def _once(command: Command, text: bytes) -> Command:
    """Return a command that was decoded from this text, or what stands for it when the text names a member twice.

    An object has a colon for each member, so an RPC with no more colons than it has members and data repeats none.
    """
    rpc = command.rpc
    if rpc is None:
        repeated = text.count(b":") > 1 and repeats(text)
    else:
        data = bytes(rpc.data)
        if data and rpc.method and command.id and text.count(b":") - data.count(b":") == _RPC_MEMBERS:
            return command
        repeated = repeats_at_top(text) or repeats_at_top(bytes(_members.decode(text)["rpc"]))
    return AmbiguousCommand(command.id) if repeated else command


def _push_head(channel: str, push_id: int) -> bytes:
    if push_id:
        return b'{"push":{"id":%d' % push_id
    return b'{"push":{"channel":' + _encoder.encode(channel)


def _one_line(data: bytes) -> bytes:
    """Return JSON text without raw newlines; its length stays."""
    return data.replace(b"\n", b" ") if b"\n" in data else data
