"""The Centrifuge client protocol, version 2: commands a client may send, results and pushes it may get.

Field names and zero-value rules are the wire's; `codec_json` and `codec_protobuf` turn them into
bytes. `Raw` fields carry JSON text as it travels. The protocol's own error and disconnect codes live here too; the
application's error numbers are in `errors`.
"""

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Raw, Struct

UInt32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
UInt64 = Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
"""Bounded to what a signed 64-bit column holds: no offset is ever larger."""
Int32 = Annotated[int, Meta(ge=-0x8000_0000, le=0x7FFF_FFFF)]
Int64 = Annotated[int, Meta(ge=-0x8000_0000_0000_0000, le=0x7FFF_FFFF_FFFF_FFFF)]

NO_DATA = Raw()


class ErrorCode(IntEnum):
    """Codes of error replies that belong to the protocol itself."""

    INTERNAL = 100
    UNAUTHORIZED = 101
    UNKNOWN_CHANNEL = 102
    PERMISSION_DENIED = 103
    METHOD_NOT_FOUND = 104
    ALREADY_SUBSCRIBED = 105
    LIMIT_EXCEEDED = 106
    BAD_REQUEST = 107
    NOT_AVAILABLE = 108
    TOKEN_EXPIRED = 109
    EXPIRED = 110
    TOO_MANY_REQUESTS = 111
    UNRECOVERABLE_POSITION = 112
    CONCURRENT_PAGINATION = 113


class DisconnectCode(IntEnum):
    """Codes of disconnects; 3000-3499 reconnect, 3500-3999 are final for the client."""

    SHUTDOWN = 3001
    SERVER_ERROR = 3004
    EXPIRED = 3005
    SUBSCRIPTION_EXPIRED = 3006
    SLOW = 3008
    INSUFFICIENT_STATE = 3010
    FORCE_RECONNECT = 3011
    NO_PONG = 3012
    TOO_MANY_REQUESTS = 3013
    STATE_INVALIDATED = 3014
    INVALID_TOKEN = 3500
    BAD_REQUEST = 3501
    STALE = 3502
    FORCE_DISCONNECT = 3503
    CONNECTION_LIMIT = 3504
    CHANNEL_LIMIT = 3505
    PERMISSION_DENIED = 3507
    NOT_AVAILABLE = 3508


class UnsubscribeCode(IntEnum):
    """Codes of unsubscribe pushes; from 2500 on the client subscribes again at once."""

    SERVER = 2000
    INSUFFICIENT_STATE = 2500
    EXPIRED = 2501
    STATE_INVALIDATED = 2502


COMPACT_CHANNEL = 1
"""Bit of `SubscribeRequest.flag`: pushes may name the channel by a number."""

REJECT_UNRECOVERED = 2
"""Bit of `SubscribeRequest.flag`: answer an impossible recovery with error 112, not `recovered: false`."""


class CodecError(Exception):
    """The bytes of a frame are not commands of this protocol."""


# Commands: what a client sends.


class FilterNode(Struct, omit_defaults=True):
    """A test of tags, or and, or, not of such tests."""

    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: list[str] = []
    nodes: list["FilterNode"] = []


class SubscribeRequest(Struct):
    """Subscribe to a channel, perhaps resuming after `offset`."""

    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: UInt64 = 0
    data: Raw = NO_DATA
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    tf: FilterNode | None = None
    flag: Int64 = 0
    type: Int32 = 0


class ConnectRequest(Struct):
    """Who connects; `subs` resumes the server-side subscriptions of an earlier connection."""

    token: str = ""
    data: Raw = NO_DATA
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    headers: dict[str, str] = {}


class UnsubscribeRequest(Struct, gc=False):
    """Stop a client-side subscription."""

    channel: str = ""


class PublishRequest(Struct, gc=False):
    """Publish into a channel."""

    channel: str = ""
    data: Raw = NO_DATA
    type: Int32 = 0
    key: str = ""
    removed: bool = False


class PresenceRequest(Struct, gc=False):
    """Who is in a channel."""

    channel: str = ""


class PresenceStatsRequest(Struct, gc=False):
    """How many are in a channel."""

    channel: str = ""


class StreamPosition(Struct, gc=False):
    """A place in a channel's history."""

    offset: UInt64 = 0
    epoch: str = ""


class HistoryRequest(Struct):
    """Read a channel's history from `since`, exclusive, in the direction of travel."""

    channel: str = ""
    limit: Int32 = 0
    since: StreamPosition | None = None
    reverse: bool = False


class PingRequest(Struct, gc=False):
    """Unused by current clients."""


class SendRequest(Struct, gc=False):
    """A message without an answer."""

    data: Raw = NO_DATA


class RPCRequest(Struct, gc=False):
    """Call a command of the application."""

    method: str = ""
    data: Raw = NO_DATA


class RefreshRequest(Struct, gc=False):
    """A newer token of the same session."""

    token: str = ""


class SubRefreshRequest(Struct, gc=False):
    """A newer subscription token."""

    channel: str = ""
    token: str = ""
    type: Int32 = 0


class Command(Struct):
    """One command: an id and exactly one request; with neither it is a pong."""

    id: UInt32 = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: PresenceRequest | None = None
    presence_stats: PresenceStatsRequest | None = None
    history: HistoryRequest | None = None
    ping: PingRequest | None = None
    send: SendRequest | None = None
    rpc: RPCRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None


class AmbiguousCommand(Command):
    """What stands for a command that named a member twice: its id alone. It is refused and never run."""


class EmulationRequest(Struct, gc=False):
    """Commands of a client whose connection is a stream: they travel beside it, in a request of their own."""

    node: str = ""
    session: str = ""
    data: bytes = b""
    """What a websocket frame would carry."""


# Results: the answer to one command. Encoded publications travel as `Raw` in the codec's own form.


class SubscribeResult(Struct, omit_defaults=True):
    """The state of a new subscription."""

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[Raw] = []
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    was_recovering: bool = False
    delta: bool = False
    id: int = 0


class ConnectResult(Struct, omit_defaults=True):
    """A new connection and its server-side subscriptions."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0
    data: Raw = NO_DATA
    subs: dict[str, SubscribeResult] = {}
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""
    time: int = 0


class RefreshResult(Struct, omit_defaults=True, gc=False):
    """How long the refreshed connection lives."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class UnsubscribeResult(Struct, omit_defaults=True, gc=False):
    """Done."""


class HistoryResult(Struct, omit_defaults=True):
    """Publications and the channel's top position."""

    publications: list[Raw] = []
    epoch: str = ""
    offset: int = 0


class SubRefreshResult(Struct, omit_defaults=True, gc=False):
    """How long the refreshed subscription lives."""

    expires: bool = False
    ttl: int = 0


class PublishResult(Struct, omit_defaults=True, gc=False):
    """Done."""


class ClientInfo(Struct, omit_defaults=True, gc=False):
    """Who a client is; what the application adds is JSON."""

    user: str = ""
    client: str = ""
    conn_info: Raw = NO_DATA
    chan_info: Raw = NO_DATA


class PresenceResult(Struct):
    """Who is in a channel: `ClientInfo` as JSON by client."""

    presence: dict[str, Raw] = {}


class PresenceStatsResult(Struct, omit_defaults=True, gc=False):
    """How many are in a channel."""

    num_clients: int = 0
    num_users: int = 0


Result = (
    ConnectResult
    | SubscribeResult
    | UnsubscribeResult
    | HistoryResult
    | RefreshResult
    | SubRefreshResult
    | PublishResult
    | PresenceResult
    | PresenceStatsResult
)
