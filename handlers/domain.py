"""What a domain is: one value, from which the server derives everything it does for the domain.

`handlers/<domain>/__init__.py` exports `DOMAIN`; `server/domains.py` is the tuple of all. Command table, channel
permissions, timers, reactions, jobs, loops, retention, OpenAPI, AsyncAPI and demo data come from these values. No
domain lives here.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

from handlers.contract import Caller, Outcome, Route, Stores
from handlers.settings import Settings
from protocols.topics import Lane, parse_id, split_channel
from storage.engines.postgres import Connection, Database
from storage.engines.redis import Redis

T = TypeVar("T")

# -- channels ------------------------------------------------------------------------------------------------

Exists = Callable[[Connection, UUID], Awaitable[bool]]
"""Whether an aggregate has the channel. It must stay true once it was: the answer is remembered."""

Member = Callable[[Connection, UUID, Caller], Awaitable[bool]]
"""Whether a caller belongs to the aggregate now. Never remembered; who leaves is unsubscribed by the control
`UnsubscribeUser` in the outcome that ends the membership."""

NewestReader = Callable[[Connection, UUID], Awaitable[tuple[int, Struct] | None]]
"""Reads the current number and value of one aggregate's latest channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelKind:
    """One kind of channel: how it is named and delivered, and who may follow it."""

    word: str
    """The first word of its names."""
    parameter: str
    """What the documents call the id after the colon."""
    lane: Lane
    readers: str
    """Who may follow it, for the documents."""
    interval_ms: int = 0
    """LATEST: the least time between two values of one key to one reader."""
    delta: bool = False
    """Clients that ask get each publication as its difference from the one before."""
    ping_s: float = 0.0
    """How often a connection that follows it is pinged at least, in seconds; 0: as often as any, every 25 s."""
    shareable: bool = False
    """A scope token may open it for others."""
    counted: bool = False
    """How many follow it may be told to anybody; kinds of one id are counted together."""
    owner_only: bool = False
    """`word:#<user id>`: for that user alone."""
    single: bool = False
    """`word` alone: the market has one. Its parameter is empty, its aggregate's id zero."""
    exists: Exists | None = None
    member: Member | None = None
    newest: NewestReader | None = None
    """LATEST only."""
    events: Mapping[str, type[Struct]] = field(default_factory=dict)
    """REPLAYED: its events by type, for the documents."""
    value: type[Struct] | None = None
    """LATEST: its value, for the documents."""

    def __post_init__(self) -> None:
        """Refuse a kind that nobody decides about, or about which two things decide."""
        if sum((self.owner_only, self.exists is not None, self.member is not None)) != 1:
            raise AssertionError(f"{self.word}: name one of owner_only, exists, member")
        if (self.lane is Lane.LATEST) != (self.newest is not None):
            raise AssertionError(
                f"{self.word}: a latest channel, and no other, has a reader of its newest value"
            )

    @property
    def address(self) -> str:
        """How its names are built."""
        return self._name(f"{{{self.parameter}}}")

    def name(self, aggregate_id: UUID) -> str:
        """Return the channel of an aggregate."""
        return self._name(str(aggregate_id))

    def _name(self, text: str) -> str:
        return self.word if self.single else f"{self.word}:{'#' if self.owner_only else ''}{text}"


class ChannelKinds:
    """All kinds of channels, by their first word. A tool of every process."""

    def __init__(self, kinds: Sequence[ChannelKind]) -> None:
        """Take the kinds of all domains. Raises AssertionError when two have one word."""
        self._kinds = {kind.word: kind for kind in kinds}
        if len(self._kinds) != len(kinds):
            raise AssertionError("two kinds of channels have the same first word")
        self._singles = {kind.word: kind for kind in kinds if kind.single}
        self._counted = tuple(f"{kind.word}:" for kind in kinds if kind.counted)

    def find(self, channel: str) -> tuple[ChannelKind, UUID] | None:
        """Return a channel's kind and the id it names, or None when it is no channel of any kind."""
        if single := self._singles.get(channel):
            return single, UUID(int=0)
        kind = self.kind_of(channel)
        parts = split_channel(channel)
        aggregate_id = parse_id(parts[1]) if parts else None
        if kind is None or aggregate_id is None or channel != kind.name(aggregate_id):
            return None
        return kind, aggregate_id

    def kind_of(self, channel: str) -> ChannelKind | None:
        """Return the kind whose word a name begins with, whatever follows the colon; `word:*` names a whole kind."""
        parts = split_channel(channel)
        return self._kinds.get(parts[0]) if parts else self._singles.get(channel)

    def viewer_group(self, channel: str) -> str | None:
        """Return what the followers of a channel are counted for, or None. How many may be told, who never."""
        return channel.partition(":")[2] if channel.startswith(self._counted) else None


# -- timers --------------------------------------------------------------------------------------------------

TimerHandler = Callable[[Sequence[UUID], Stores, int], Awaitable[list[Outcome]]]
"""Called with the refs of due timers of one kind, in one transaction that also deletes the timers."""

TimerPreparation = Callable[[Sequence[UUID], Stores], Awaitable[None]]
"""Called with refs of timers that are due soon, outside any transaction, to read into memory what cannot change."""

URGENT = "urgent"
"""The lane of timers that others wait for: they are prepared ahead, and every other lane yields to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerKind:
    """What runs when a timer is due. Timers of one lane run one after the other; lanes do not wait for each other."""

    name: str
    handler: TimerHandler
    lane: str = ""
    """`URGENT`, or a name; empty: the lane of the domain, so that a slow domain holds up no other."""
    prepare: TimerPreparation | None = None
    """URGENT only."""

    def __post_init__(self) -> None:
        """Refuse a preparation that nobody would call."""
        if self.prepare is not None and self.lane != URGENT:
            raise AssertionError(f"{self.name}: only urgent timers are prepared")


# -- reactions and jobs --------------------------------------------------------------------------------------


def fact_name(fact: type[Struct]) -> str:
    """Return the word under which facts of a type are stored: `auction_settled` for `AuctionSettled`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", fact.__name__).lower()


class FactRecord(Struct, frozen=True, kw_only=True):
    """A fact as a reaction gets it."""

    aggregate: str
    """What the fact is about; facts of one aggregate come in their order."""
    number: int
    """Its place among the facts about the aggregate. Both together name it, however often the reaction is tried."""
    at_ms: int
    fact: Any
    """Of the type that the reaction is declared for."""


ReactionHandler = Callable[[FactRecord, Stores, int], Awaitable[Outcome]]
"""Runs in a transaction that also deletes the reaction's row, so its effect happens once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionKind:
    """What a domain does when another one (or itself) states a fact."""

    name: str
    """`on_<fact>`; together with the domain it is stored, so it never changes."""
    fact: type[Struct]
    handler: ReactionHandler

    def __post_init__(self) -> None:
        """Refuse a name that does not tell the fact."""
        if self.name != f"on_{fact_name(self.fact)}":
            raise AssertionError(
                f"{self.name}: a reaction to {self.fact.__name__} is on_{fact_name(self.fact)}"
            )


class Job(Struct, frozen=True, kw_only=True):
    """One call to the outside that is to be made."""

    job_id: UUID
    """The idempotency key of the call: the same at every attempt."""
    ref: UUID
    """What it is about."""
    attempt: int
    """1 at the first."""


JobRun = Callable[[Job, "JobContext"], Awaitable[Any]]
"""Makes the call, outside any transaction and without a lock; it may happen twice. What it returns goes to `finish`."""

JobFinish = Callable[[Job, Any, Stores, int], Awaitable[Outcome]]
"""Records the result in the transaction that deletes the job's row."""


class JobContext(Protocol):
    """What a job's call may reach: connections for a moment each, and tools."""

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection for one statement or two."""
        ...

    def need(self, kind: type[T]) -> T:
        """Return a tool."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """A call to another machine: written with the transaction that wants it, made outside of any."""

    name: str
    run: JobRun
    finish: JobFinish
    timeout_s: float = 30.0
    """A call that takes longer is cancelled and tried again; who dies in it is replaced a few seconds later."""
    at_once_max: int = 4
    """Calls of this kind that one worker makes at a time."""


# -- loops ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeKind:
    """A figure that a loop shows among the metrics, as `mnbara_<name>`."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    """The names of its labels, if it has any; each has few values."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The value of a gauge now."""

    name: str
    value: float
    labels: tuple[str, ...] = ()
    """The values of its labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTurn:
    """What one turn of a loop did."""

    outcomes: Sequence[Outcome] = ()
    """Written and sent as those of commands are."""
    figures: Sequence[Figure] = ()
    again: bool = False
    """There is more to do: the next turn comes without a pause."""


LoopStep = Callable[[Stores, int], Awaitable[LoopTurn]]
"""One turn: a bounded piece of work in one transaction. Killed in it, nothing happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopKind:
    """What a domain does all the time, in one worker at a time; any worker has the next turn."""

    name: str
    step: LoopStep
    pause_s: float
    """Between two turns, when there is no more to do."""
    gauges: tuple[GaugeKind, ...] = ()


# -- readiness -----------------------------------------------------------------------------------------------

PartState = Callable[[Stores], Awaitable[str]]
"""Returns `ok`, or a word for what is no fault (`not_configured`). Raises when the part does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartKind:
    """What readiness shows of a domain beside the engines: a machine of its own, or what it must not be taken for."""

    name: str
    state: PartState


# -- the rest of a domain ------------------------------------------------------------------------------------

DeleteOld = Callable[[Connection, int, int], Awaitable[int]]
"""Deletes at most so many rows (third) that are older than an instant (second); returns how many it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Rows that are deleted once they are old."""

    delete: DeleteOld
    kept_ms: int


class DemoMarket(Protocol):
    """What a domain's demo data are added through: its own and other domains' commands."""

    people: dict[str, Caller]
    """Who acts in the demo market, by name; the auth domain adds them, the others use them."""

    async def run(self, route: str, command: Struct, caller: Caller) -> None:
        """Run a command. Raises the route's refusals."""
        ...

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection to look at what is there."""
        ...


Demo = Callable[[DemoMarket], Awaitable[str]]
"""Adds what is missing of a domain's demo data and says how much it was; domains run in the order of the tuple."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may be made of."""

    settings: Settings
    database: Database
    redis: Redis
    channel_kinds: ChannelKinds


@dataclass(frozen=True, slots=True)
class ToolKind:
    """An object that a domain's handlers ask for by its type: one per process, opened at start, closed at the end."""

    kind: type
    open: Callable[[ToolContext], AbstractAsyncContextManager[Any]]
    check: Callable[[Settings], object] | None = None
    """Raises SettingsError when it could not be opened; asked before any engine is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One domain of the market."""

    name: str
    routes: tuple[Route, ...] = ()
    channels: tuple[ChannelKind, ...] = ()
    timers: tuple[TimerKind, ...] = ()
    reactions: tuple[ReactionKind, ...] = ()
    jobs: tuple[JobKind, ...] = ()
    loops: tuple[LoopKind, ...] = ()
    parts: tuple[PartKind, ...] = ()
    retention: tuple[Retention, ...] = ()
    tools: tuple[ToolKind, ...] = ()
    needs: tuple[type, ...] = ()
    """Types of the tools that its handlers ask for and others provide; checked at start."""
    facts: tuple[type[Struct], ...] = ()
    """What it states for other domains to react to."""
    personal_events: Mapping[str, type[Struct]] = field(default_factory=dict)
    """Events it writes on personal channels, by type."""
    stream_events: Mapping[str, type[Struct]] = field(default_factory=dict)
    """Events on streams that are no channels, shown in the documents."""
    demo: Demo | None = None
    audit_events: Mapping[str, type[Struct]] = field(default_factory=dict)
    """Events on streams that are no channels and in no document."""

    def __post_init__(self) -> None:
        """Refuse routes that name another domain."""
        if strangers := [route.path for route in self.routes if route.domain != self.name]:
            raise AssertionError(f"{self.name}: routes of another domain: {', '.join(strangers)}")
