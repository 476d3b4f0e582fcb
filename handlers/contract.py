"""What a handler is given and what it returns. No domain lives here.

A handler is `async def verb(command, caller, stores, now_ms) -> Outcome`. It decides and writes through `storage` on
`stores.db`; it never commits, never publishes: the pipeline writes the outcome's events, timers and idempotency row in
the handler's transaction, commits, answers, then fans out. A *grouped* handler does the same for many calls at once:
`async def verb(calls, stores, now_ms) -> list[Outcome | Refusal]`, one answer per call in order.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Generic, Literal, Protocol, TypeVar
from uuid import UUID

from msgspec import Raw, Struct

from protocols.control import Control
from protocols.errors import Refusal
from storage.engines.postgres import Connection
from storage.engines.redis import Redis
from storage.platform.vault import Vault

C = TypeVar("C", bound=Struct)


class Permission(StrEnum):
    """Who may call a route at all; what they may touch is decided by the handler, object by object."""

    ANYONE = "anyone"
    SIGNED_IN = "signed_in"
    SUPPORT = "support"
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


class AuthTools(Protocol):
    """Keys and the password hasher; `handlers/auth/tools.py` is the real one."""

    limit_attempts: bool
    """False lifts the limit on failed sign-ins, for load tests."""

    async def hash_password(self, password: str) -> str:
        """Return the hash to store. Raises TemporarilyUnavailable when too many wait."""
        ...

    async def check_password(self, password: str, password_hash: str | None) -> bool:
        """Return whether it matches; None (no such account) costs the same. Raises TemporarilyUnavailable."""
        ...

    def sign_access_token(
        self, caller: Caller, access_version: int, now_ms: int, ends_at_ms: int
    ) -> tuple[str, int]:
        """Return an access token that expires by `ends_at_ms` at the latest, and its life in seconds."""
        ...

    def sign_scope_token(
        self,
        token_id: UUID,
        issuer: Caller,
        access_version: int,
        channels: Sequence[str],
        now_ms: int,
        ends_at_ms: int,
    ) -> str:
        """Return a token that lends what its issuer may follow of these channels."""
        ...

    def sign_refresh_token(self, session_id: UUID, counter: int) -> str:
        """Return the refresh token of a session at a counter; the same input gives the same token."""
        ...

    def read_refresh_token(self, token: str) -> tuple[UUID, int]:
        """Return session and counter of a refresh token of ours. Raises TokenInvalid."""
        ...


@dataclass(frozen=True, slots=True)
class RenderedPhoto:
    """A picture made fit to show: pixels of the full size, and the JPEG of each size by its word."""

    width: int
    height: int
    files: Mapping[str, bytes]


class Photos(Protocol):
    """The renderer and the store of photos; `handlers/listings/photos/tools.py` is the real one."""

    async def render(self, content: bytes) -> RenderedPhoto:
        """Return the sizes of an uploaded picture. Raises PhotoUnreadable, PhotoTooLarge, TemporarilyUnavailable."""
        ...

    async def keep(self, photo_id: UUID, rendered: RenderedPhoto) -> None:
        """Store the files of a photo for good. Raises TemporarilyUnavailable."""
        ...

    async def forget(self, photo_ids: Sequence[UUID]) -> None:
        """Delete the files of photos. Raises TemporarilyUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """The machines a handler may reach. `db` is the command's transaction, or a plain connection for a query."""

    db: Connection
    redis: Redis
    epoch: str
    """The epoch of every stream of this database; it goes into `Position`."""
    auth_tools: AuthTools | None = None
    master: Vault | None = None
    photo_tools: Photos | None = None

    @property
    def photos(self) -> Photos:
        """The store of photos; only for the listings domain's timers."""
        if self.photo_tools is None:
            raise AssertionError("the pipeline was built without a photo store")
        return self.photo_tools

    @property
    def vault(self) -> Vault:
        """What encrypts before it is written; only for routes and timers of a pipeline with one."""
        if self.master is None:
            raise AssertionError("the pipeline was built without a vault")
        return self.master

    @property
    def auth(self) -> AuthTools:
        """Keys and hasher; only for the auth domain's routes."""
        if self.auth_tools is None:
            raise AssertionError("the pipeline was built without auth tools")
        return self.auth_tools


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a route's `prepare` may reach: connections for a moment each, and no transaction."""

    connection: Callable[[], AbstractAsyncContextManager[Connection]]
    redis: Redis
    auth_tools: AuthTools | None = None
    photo_tools: Photos | None = None

    @property
    def auth(self) -> AuthTools:
        """Keys and hasher; only for the auth domain's routes."""
        if self.auth_tools is None:
            raise AssertionError("the pipeline was built without auth tools")
        return self.auth_tools

    @property
    def photos(self) -> Photos:
        """Renderer and store; only for the listings domain's uploads."""
        if self.photo_tools is None:
            raise AssertionError("the pipeline was built without a photo store")
        return self.photo_tools


class Event(Struct, frozen=True, gc=False):
    """One fact, appended to `stream` in the command's transaction, published on the channel of that name after it.

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


class Outcome(Struct, frozen=True, gc=False):
    """What a handler decided: the answer, and what leaves with the commit."""

    reply: Struct | dict[str, Any] | None
    events: Sequence[Event] = ()
    latest: Sequence[Latest] = ()
    timers: Sequence[Timer] = ()
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


TimerHandler = Callable[[Sequence[UUID], Stores, int], Awaitable[list[Outcome]]]
"""Called with the refs of due timers of one kind, in one transaction that also deletes the timers."""

TimerPreparation = Callable[[Sequence[UUID], Stores], Awaitable[None]]
"""Called with refs of timers that are due soon, outside any transaction, to read into memory what cannot change."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is no JSON: it arrives whole in the command's field `content`."""

    media_types: tuple[str, ...]
    bytes_max: int


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
    key: Literal["none", "required"] = "none"
    prepare: Callable[[Any, Caller, Preparation], Awaitable[Struct]] | None = None
    """Slow work (password hashing) done before the transaction opens: what it returns is the handler's command.

    Only for routes that are neither grouped nor keyed: a key's fingerprint is taken of the command as sent."""
    grouped: bool = False
    rpc: bool = True
    upload: Upload | None = None
    """The body is a file rather than JSON; such a route exists over REST alone."""
    etag: bool = False
    """The reply has `version: int`, sent as ETag; a PATCH command has `if_match: int | None`, filled from If-Match."""
    refusals: tuple[type[Refusal], ...] = field(default=())
    deprecated: Deprecation | None = None

    def __post_init__(self) -> None:
        """Refuse a combination that cannot work."""
        if self.prepare is not None and (self.grouped or "key" in self.command.__struct_fields__):
            raise AssertionError(f"{self.path}: a prepared route can be neither grouped nor keyed")
        if self.upload is not None and (self.rpc or "content" not in self.command.__struct_fields__):
            raise AssertionError(f"{self.path}: an upload is REST only and arrives in `content`")

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
