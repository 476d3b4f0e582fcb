"""Words of the channel door: what a poll for a channel's events asks, and what it is answered.

Sections: Commands, Replies.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from protocols.values import Timestamp


class PollChannel(Struct, frozen=True, forbid_unknown_fields=True):
    """Events after an offset, and how long the poll may wait for the first."""

    channel: Annotated[str, Meta(max_length=255, examples=["auctions:019ab3c0-0000-7000-8000-000000000000"])]
    after: Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    wait_s: Annotated[float, Meta(ge=0, le=25)] = 0


class ChannelEvent(Struct, frozen=True):
    """One event of a channel: its number, its publication, its instant."""

    offset: int
    data: dict[str, Any]
    at: Timestamp


class ChannelEvents(Struct, frozen=True):
    """Events in order, and the `after` of the next poll."""

    epoch: str
    events: list[ChannelEvent]
    offset: int
