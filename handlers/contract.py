"""What a handler is given and what it returns. No domain lives here.

A handler is `async def verb(command, caller, stores, now_ms) -> Outcome`. It decides and writes through `storage` on
`stores.db`; it never commits, never publishes: the pipeline writes what the outcome carries and the idempotency row in
the handler's transaction, commits, answers, then fans out. A *grouped* handler does the same for many calls at once:
`async def verb(calls, stores, now_ms) -> list[Outcome | Refusal]`, one answer per call in order.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from msgspec import Raw, Struct

from protocols.control import Control
from protocols.errors import Refusal
from storage.engines.postgres import Connection
from storage.engines.redis import Redis

C = TypeVar("C", bound=Struct)
T = TypeVar("T")


class Permission(StrEnum):
    """Who may call a route at all; what they may touch is decided by the handler, object by object."""

    ANYONE = "anyone"
    SIGNED_IN = "signed_in"
    SUPPORT = "support"
    FINANCE = "finance"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. Anonymous when `user_id` is None."""

    user_id: UUID | None = None
    session_id: UUID | None = None
    roles: frozenset[str] = frozenset()
    remote_ip: str = ""
    """Where the request came from, as the door saw it; empty when unknown."""

    @property
    def id(self) -> UUID:
        """The signed-in user's id; only for routes that need a signed-in caller."""
        if self.user_id is None:
            raise AssertionError("route permission lets anonymous callers in, handler expects a user")
        return self.user_id


ANONYMOUS = Caller()


@dataclass(frozen=True, slots=True)
class Stores:
    """The machines a handler may reach. `db` is the command's transaction, or a plain connection for a query."""

    db: Connection
    redis: Redis
    epoch: str
    """The epoch of every stream of this database; it goes into `Position`."""
    tools: Mapping[type, Any] = field(default_factory=dict)

    def need(self, kind: type[T]) -> T:
        """Return the process's tool of a type; a domain names what it needs in its `DOMAIN`."""
        return tool_of(self.tools, kind)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a route's `prepare` may reach: connections for a moment each, and no transaction."""

    connection: Callable[[], AbstractAsyncContextManager[Connection]]
    redis: Redis
    tools: Mapping[type, Any] = field(default_factory=dict)

    def need(self, kind: type[T]) -> T:
        """Return the process's tool of a type."""
        return tool_of(self.tools, kind)


def tool_of(tools: Mapping[type, Any], kind: type[T]) -> T:
    """Return a tool by its type; the check at start makes sure that it is there."""
    tool = tools.get(kind)
    assert isinstance(tool, kind), (
        f"no {kind.__name__} in this process: a domain names it in `tools` or `needs`"
    )
    return tool


class Event(Struct, frozen=True, gc=False):
    """What clients hear: appended to `stream` in the command's transaction, published on that channel after it.

    `number` is the stream's next number where the handler holds the aggregate's lock and counts itself;
    None lets storage number it (personal streams). `type` is past tense; the published data is
    `{"type": type, "at": time, **data}`; data of `Raw` is an object's JSON already.
    """

    stream: str
    type: str
    data: Struct | dict[str, Any] | Raw
    number: int | None = None


class Latest(Struct, frozen=True, gc=False):
    """The newest value of a *latest* channel, published after the commit; lower numbers than shown are dropped."""

    channel: str
    number: int
    data: Struct | dict[str, Any] | Raw
    key: str = ""


class Timer(Struct, frozen=True, gc=False):
    """A wish to be called back at an instant: `kind` names the timer's handler, `ref` the aggregate."""

    kind: str
    ref: UUID
    due_at_ms: int


class Fact(Struct, frozen=True, gc=False):
    """Something that happened, for other domains: typed, unmasked, never sent to clients.

    Its reactions run once each, those of one aggregate in the order in which their facts were stated.
    """

    aggregate: str
    """What it is about, named like a stream: `auctions:<id>`."""
    data: Struct
    """One of `DOMAIN.facts`."""


class JobRequest(Struct, frozen=True, gc=False):
    """A wish to call another machine: `kind` is `<domain>.<job>`; the call is made after the commit, outside of it."""

    kind: str
    ref: UUID


class Outcome(Struct, frozen=True, gc=False):
    """What a handler decided: the answer, and what leaves with the commit."""

    reply: Struct | dict[str, Any] | None
    events: Sequence[Event] = ()
    latest: Sequence[Latest] = ()
    timers: Sequence[Timer] = ()
    facts: Sequence[Fact] = ()
    jobs: Sequence[JobRequest] = ()
    controls: Sequence[Control] = ()
    """What every process shall do with users' sockets after the commit: best effort, see `protocols.control`."""
    secret: bool = False
    """The reply is for the caller's eyes: kept under its key, it is encrypted."""
    refusal: Refusal | None = None
    """Answer this instead of `reply`, and still commit (a stolen token is refused *and* ends its session)."""


class Call(Struct, Generic[C], frozen=True, gc=False):
    """One caller's command inside a grouped batch."""

    command: C
    caller: Caller
    at_ms: int
    """When the server received it; deadlines are judged by this instant."""


@dataclass(frozen=True, slots=True)
class Completion(Preparation):
    """What a route's `complete` may reach: as before the commit, and transactions of their own."""

    commit: Callable[[Callable[[Stores, int], Awaitable[Sequence[Outcome]]]], Awaitable[None]] = field(
        kw_only=True
    )
    """Runs a function in one transaction, with what its outcomes carry."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is no JSON: it arrives whole in the command's field `content`."""

    media_types: tuple[str, ...]
    bytes_max: int
    also: tuple[str, ...] = ()
    """Media types that are taken, too, and not documented: what clients send who say nothing."""
    example: Mapping[str, Any] | None = None
    """Of a body that is JSON, read by the handler itself because it is signed byte by byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An answer that is a file, over REST."""

    name: str
    """What a browser saves it as: ASCII, without quotes."""
    media_type: str
    content: bytes | AsyncIterator[bytes]
    """An iterator is sent as it comes; it holds no connection between its pieces."""


@dataclass(frozen=True, slots=True)
class Downloads:
    """How a query is answered with a file instead of JSON."""

    make: Callable[[Any, Caller, Preparation], Awaitable[Download | None]]
    """`(command, caller, preparation)`; None: the command asks for JSON."""
    media_types: tuple[str, ...]
    """For the documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """A route that will go: clients are told in every answer, and their calls are counted until none come."""

    since: date
    sunset: date
    """It may be gone from this day on."""
    successor: str
    """The path of the route to call instead."""

    def __post_init__(self) -> None:
        """Refuse an end before the announcement."""
        if self.sunset <= self.since:
            raise AssertionError(f"{self.successor}: the sunset must be after the deprecation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One command or query on both doors. RPC name: `<domain>.<function name>`."""

    domain: str
    command: type[Struct]
    """Path parameters, query parameters and body fields in one struct; a keyed command has `key: Key = ""`."""
    reply: Any
    """The type of the answer, for the schemas."""
    function: Callable[..., Awaitable[Any]]
    """`(command, caller, stores, now_ms) -> Outcome`; grouped: `(calls, stores, now_ms) -> list[Outcome | Refusal]`."""
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    """`/v1/…` with `{field}` for path parameters, which are fields of the command."""
    permission: Permission
    status: int = 200
    cost: int = 1
    """Rate-limit units one call takes."""
    refused_cost: int = 0
    """Units that a refused call takes afterwards: of a route whose callers sign what they send and pay nothing else."""
    key: Literal["none", "required"] = "none"
    prepare: Callable[[Any, Caller, Preparation], Awaitable[Struct]] | None = None
    """Slow work (password hashing) done before the transaction opens: what it returns is the handler's command.

    Only for routes that are neither grouped nor keyed: a key's fingerprint is taken of the command as sent."""
    complete: Callable[[Any, Caller, Completion], Awaitable[Struct]] | None = None
    """A call to another machine after the commit: given the reply, what it returns is the answer instead. A repeat of
    a key gets the kept reply and calls again, so the call has to be safe to repeat.

    Not for grouped routes."""
    grouped: bool = False
    aggregate_of: Callable[[Any], UUID] | None = None
    """Grouped routes: what a command is about. Said while commands wait for a commit, for those who must not overtake
    them (`storage.platform.backlog_redis`)."""
    rpc: bool = True
    upload: Upload | None = None
    """The body is a file rather than JSON; such a route exists over REST alone."""
    downloads: Downloads | None = None
    """Queries: files that REST answers with, where the command asks for one."""
    etag: bool = False
    """The reply has `version: int`, sent as ETag; a PATCH command has `if_match: int | None`, filled from If-Match."""
    text: str = ""
    """Over REST this field of the reply is the whole answer, as plain text."""
    refusals: tuple[type[Refusal], ...] = field(default=())
    deprecated: Deprecation | None = None

    def __post_init__(self) -> None:
        """Refuse a combination that cannot work."""
        if self.prepare is not None and (self.grouped or "key" in self.command.__struct_fields__):
            raise AssertionError(f"{self.path}: a prepared route can be neither grouped nor keyed")
        if self.complete is not None and self.grouped:
            raise AssertionError(f"{self.path}: a grouped route makes no call after its commit")
        if self.upload is not None and (self.rpc or "content" not in self.command.__struct_fields__):
            raise AssertionError(f"{self.path}: an upload is REST only and arrives in `content`")
        if self.text and self.text not in self.reply.__struct_fields__:
            raise AssertionError(f"{self.path}: the reply has no field {self.text}")

    @property
    def verb(self) -> str:
        """The name of the function, the same word in every layer."""
        return self.function.__name__

    @property
    def name(self) -> str:
        """The RPC method, operation id and metric label."""
        return f"{self.domain}.{self.verb}"

    @property
    def is_query(self) -> bool:
        """Queries run without a transaction and leave no events."""
        return self.method == "GET"
