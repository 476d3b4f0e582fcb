"""Words about channels: polls for their events, and how far clients have got.

Sections: Commands, Replies.
"""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from protocols.values import Cursor, PageLimit, Timestamp

ChannelName = Annotated[str, Meta(max_length=255, examples=["auctions:01a1fae9-8145-7614-a14a-0061ca24abef"])]
Offset = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]
"""The number of an event in its channel; 0 is before the first."""

REPORT_OFFSET = "realtime.report_offset"
"""The RPC that takes a `ReportOffset`; the realtime core serves it itself, for it is about the connection."""


class PollChannel(Struct, frozen=True, forbid_unknown_fields=True):
    """Events after an offset, and how long the poll may wait for the first."""

    channel: ChannelName
    after: Offset = 0
    epoch: Annotated[str, Meta(max_length=64)] = ""
    """The epoch that `after` belongs to, as answers and positions tell it; empty stands for the present one."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    wait_s: Annotated[float, Meta(ge=0, le=25)] = 0


class ReportOffset(Struct, frozen=True, forbid_unknown_fields=True):
    """Say how far the client has processed a channel it follows; older reports than the newest count for nothing."""

    channel: ChannelName
    offset: Offset


class GetLag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask who is behind in a channel, of those clients that report."""

    channel: ChannelName
    limit: PageLimit = 20
    cursor: Cursor | None = None


class OffsetReported(Struct, frozen=True):
    """The offset that counts from now on."""

    offset: int


class ReaderLag(Struct, frozen=True, kw_only=True):
    """A client that has not processed everything."""

    client: str
    user_id: UUID | None
    """None for a client without an account."""
    offset: int
    lag: int
    """How many events are missing."""
    behind_since: Timestamp | None
    """When the first event it lacks happened."""
    reported_at: Timestamp


class Lag(Struct, frozen=True, kw_only=True):
    """Where a channel stands, how many clients report and how many of them are behind; the furthest behind first."""

    channel: str
    top: int
    readers: int
    behind: int
    items: list[ReaderLag]
    next_cursor: str | None = None


class ChannelEvent(Struct, frozen=True):
    """One event of a channel: its number, its publication, its instant."""

    offset: int
    data: dict[str, Any]
    at: Timestamp


class ChannelEvents(Struct, frozen=True):
    """Events in order, and the `after` of the next poll."""

    epoch: str
    recovered: bool
    """Whether the events follow the position asked for. False, with no events and at once, when the channel has no such
    position (it is beyond the end, of another epoch, or what followed is kept no longer): read the resource again, then
    go on from `offset`, the end of the channel."""
    events: list[ChannelEvent]
    offset: int
