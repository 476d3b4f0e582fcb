"""What the realtime core needs from outside: the application, the log behind a channel, the bus, three stores.

`server/wiring.py` gives the real ones. Nothing here knows a domain.
"""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from protocols.topics import JOIN, LEAVE, Entry, Lane

__all__ = [
    "JOIN",
    "LEAVE",
    "ApplicationPort",
    "Bus",
    "ChannelRule",
    "ConnectRequestContext",
    "Delegation",
    "Deliver",
    "DisconnectError",
    "Entry",
    "Identity",
    "Lane",
    "Log",
    "OffsetReport",
    "OffsetReportStore",
    "Presence",
    "PresenceChange",
    "ProtocolError",
    "ViewerCountStore",
]


@dataclass(slots=True)
class Identity:
    """Who a connection belongs to, from its token. `user` is "" for anonymous."""

    user: str = ""
    session: str = ""
    roles: frozenset[str] = frozenset()
    expires_at_s: int = 0
    """Unix seconds when the token expires; 0 means never (anonymous)."""
    info: bytes = b""
    """JSON that others see beside the user in presence, joins and publications; may be empty."""


@dataclass(frozen=True, slots=True)
class ConnectRequestContext:
    """What the transport knows about a connecting client."""

    origin: str
    remote_ip: str
    transport: str
    """`websocket`, `http_stream` or `sse`."""
    stream_session: str = ""
    """Streams only: the secret with which the client posts its commands; sent in the connect result."""
    stream_node: str = ""
    """Streams only: the process that holds the stream."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """Whose rights a subscription uses: those of the account that issued the token which the subscriber showed.

    The subscription ends with the issuer's session or with the token.
    """

    user: str
    session: str
    token: str
    """The id of the token."""
    confirm: Callable[[], None]
    """Raises ProtocolError when session or token are over; called in the step in which the subscription begins."""


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """How one channel behaves for one identity."""

    lane: Lane
    interval_ms: int = 0
    """LATEST only: the least time between two values of one key to one reader; 0 means every value."""
    publish: bool = False
    """The client may publish into the channel, through `ApplicationPort.publish`."""
    any_bytes: bool = False
    """What the client publishes need not be JSON: only for channels that every reader reads with Protobuf."""
    history_size: int = 0
    """Newest publications that recovery and history reach back to; 0 means all the log and the limits allow."""
    history_ttl_s: int = 0
    """Their greatest age, likewise."""
    recovery: bool = True
    """REPLAYED only: every subscription can be recovered; otherwise those of clients that ask for it."""
    presence: bool = False
    """The client may ask for the presence of the channel, and is listed in it."""
    join_leave: bool = False
    """Subscribers get joins and leaves of the others."""
    delta: bool = False
    """Clients that ask get each publication as its difference from the one before."""
    tags_filter: bool = False
    """Clients may ask for publications with certain tags only."""
    compaction: bool = False
    """Pushes to JSON clients that offer it name the channel by a number."""
    ping_s: float = 0.0
    """While a connection holds the channel it is pinged at least this often; 0 means as often as any. It belongs to the
    channel: the rule of every identity has the same."""
    expires_at_s: int = 0
    """Unix seconds when the subscription's own token expires; 0 means with the connection."""
    info: bytes = b""
    """JSON of the subscription that others see beside the client; may be empty."""

    delegation: Delegation | None = None
    """Set when the client subscribed with another account's token."""

    @property
    def remembered(self) -> bool:
        """Whether the connection has to know the rule as long as the subscription lasts."""
        return bool(
            self.publish
            or self.presence
            or self.join_leave
            or self.expires_at_s
            or self.info
            or self.delegation is not None
        )


class ProtocolError(Exception):
    """An error reply of the client protocol; the connection lives."""

    def __init__(
        self, code: int, message: str, *, temporary: bool = False, reply: bytes = b"", trace_id: str = ""
    ) -> None:
        """Keep the three fields of the wire's Error; with a `reply` an RPC is answered that instead.

        `trace_id` is of the line in the log that tells the cause; it is sent as part of message and reply.
        """
        super().__init__(f"{code} {message}")
        self.code, self.message, self.temporary = code, message, temporary
        self.reply, self.trace_id = reply, trace_id


class DisconnectError(Exception):
    """The connection cannot go on: it is closed with this code and reason (the code carries the reconnect policy)."""

    def __init__(self, code: int, reason: str) -> None:
        """Keep code and reason of the disconnect push and close frame."""
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class PendingReply(Protocol):
    """An RPC's answer that comes later: an `asyncio.Future[bytes]`, or a lighter thing that calls back at once."""

    def add_done_callback(self, callback: "Callable[[PendingReply], object]", /) -> None:
        """Have `callback` called with this object when it is done; used once."""
        ...

    def cancelled(self) -> bool:
        """Whether it was given up."""
        ...

    def exception(self) -> BaseException | None:
        """Return what it raises, once it is done."""
        ...

    def result(self) -> bytes:
        """Return the answer, once it is done."""
        ...


class ApplicationPort(Protocol):
    """Authentication, authorisation and commands: everything that connections ask of the application."""

    def recognise(self, token: str, context: ConnectRequestContext) -> Identity | None:
        """Return what `authenticate` returns, or None when that needs I/O. Raises as `authenticate` does."""
        ...

    async def authenticate(self, token: str, context: ConnectRequestContext) -> Identity:
        """Return who the token names ("" = anonymous). Raises DisconnectError 3500, ProtocolError 109 when expired."""
        ...

    def confirm(self, identity: Identity) -> None:
        """Raise as `authenticate` does if access was taken away since.

        Called in the step that answers the connect, so that access taken away while a connection opens ends it too.
        """
        ...

    async def authorize(self, identity: Identity, channel: str, token: str = "") -> ChannelRule:
        """Return how the channel behaves for this identity, or for the issuer of the token that it shows.

        Raises ProtocolError 102 unknown, 103 not permitted or a bad token, 109 an expired one.
        """
        ...

    async def publish(self, identity: Identity, channel: str, data: bytes, info: bytes) -> None:
        """Publish JSON into a channel whose rule allows it; `info` is the ClientInfo of the publishing client.

        Raises ProtocolError.
        """
        ...

    def personal_channels(self, identity: Identity) -> Sequence[tuple[str, ChannelRule]]:
        """Return the channels the server subscribes every connection of this identity to, and how they behave."""
        ...

    def call(self, identity: Identity, method: str, data: bytes) -> "bytes | Future[bytes] | PendingReply":
        """Run an RPC. Returns the answer's JSON, now or later. Raises (or what it returns raises) ProtocolError.

        No task is made for commands that share a commit: they are called back in the tick of the commit.
        """
        ...


class Log(Protocol):
    """The durable history behind replayed channels, and the current value behind latest ones."""

    epoch: str

    async def heads(self, channels: Sequence[str]) -> dict[str, int]:
        """Return the newest number of each replayed channel (0 when it has none). One query for all."""
        ...

    async def read(self, channel: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries with number > after, ascending, without gaps."""
        ...

    async def read_backward(self, channel: str, before: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries with number < before, descending."""
        ...

    async def newest(self, channel: str) -> list[Entry]:
        """Return the current value of a latest channel (one entry per key), or nothing when there is none."""
        ...


class PresenceChange(NamedTuple):
    """A client joined a channel, is still there, or (without info) left."""

    channel: str
    client: str
    user: str
    info: bytes | None


class Presence(Protocol):
    """Who is in which channel, over all processes. An entry that is not repeated disappears after a while."""

    async def apply(self, changes: Sequence[PresenceChange]) -> None:
        """Enter, repeat and remove entries, in order. One round trip for all."""
        ...

    async def members(self, channel: str, limit: int) -> Mapping[str, bytes] | None:
        """Return the info of each client in the channel, or None when there are more than `limit`."""
        ...

    async def count(self, channel: str) -> tuple[int, int]:
        """Return how many clients and how many different users are in the channel."""
        ...


class OffsetReport(NamedTuple):
    """How far a client has processed a channel, and when it reported that; offset -1 when it unsubscribed."""

    channel: str
    client: str
    user: str
    offset: int
    at_ms: int


class OffsetReportStore(Protocol):
    """Offset reports of clients, over all processes. An entry that is not repeated disappears after a while."""

    async def apply(self, changes: Sequence[OffsetReport]) -> None:
        """Enter, repeat and remove entries, in order. One round trip for all."""
        ...


Deliver = Callable[[str, Sequence[Entry]], None]
"""Called on the event loop with a channel and the entries of one commit, ascending."""


class Bus(Protocol):
    """Publications between the server processes: best effort, in order per publisher; gaps are the hub's to repair."""

    async def start(self, deliver: Deliver, on_reconnected: Callable[[], None]) -> None:
        """Begin delivering. `on_reconnected` runs after an outage, when anything may have been missed."""
        ...

    def is_silent(self) -> bool:
        """Whether publications of other processes may not arrive: it is away, or has not answered for a moment."""
        ...

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Return once publications of all of them reach this process. Concurrent calls share a round trip."""
        ...

    def unsubscribe(self, channel: str) -> None:
        """Stop receiving the channel."""
        ...

    def publish(self, publications: Sequence[tuple[str, Sequence[Entry]]]) -> None:
        """Send to every process with subscribers, this one included (delivered at once, without a round trip)."""
        ...

    async def close(self) -> None:
        """Stop delivering and leave."""
        ...


class ViewerCountStore(Protocol):
    """How many connections view each viewer group, over all processes.

    A viewer group is what viewers are counted for, such as an auction. Counts that a process does not repeat expire.
    """

    async def set_counts(self, counts: Mapping[str, int]) -> None:
        """Set how many viewers of each group this process has."""
        ...

    async def count(self, group: str) -> int:
        """Return how many viewers all processes have together."""
        ...
