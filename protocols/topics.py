"""Channel names: one function per kind, and the way back.

Grammar: `<kind>:<id>`; `personal:#<user_id>`. A *replayed* channel carries every event of one aggregate, numbered
1, 2, 3 …; its name is also the name of the aggregate's stream in the events table. A *latest* channel carries the
newest value only, numbered by the aggregate's own event number. Source: INTERFACE section 2.
"""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from msgspec import Struct


class Kind(StrEnum):
    """The first word of a channel name."""

    AUCTIONS = "auctions"
    TICKER = "ticker"
    STOCK = "stock"
    PERSONAL = "personal"
    ORDERS = "orders"
    TRIPS = "trips"
    CELLS = "cells"


_KINDS = frozenset(Kind)

SHAREABLE = frozenset({Kind.AUCTIONS, Kind.TICKER, Kind.ORDERS, Kind.TRIPS})
"""Kinds that a scope token may open for others; a personal channel is for its user alone."""

REPLAYED = frozenset({Kind.AUCTIONS, Kind.PERSONAL, Kind.ORDERS})
"""Kinds whose every event reaches every subscriber."""

LATEST = frozenset({Kind.TICKER, Kind.STOCK, Kind.TRIPS, Kind.CELLS})
"""Kinds of which only the newest value per key matters."""


class Entry(Struct, frozen=True, gc=False):
    """One publication of a channel: its number, its JSON text, its instant, and its key on a latest channel.

    Number 0 is no publication but a sign: the client in `data` came (key `JOIN`) or went (key `LEAVE`). Signs are kept
    nowhere.
    """

    number: int
    data: bytes
    at_ms: int
    key: str = ""
    tags: Mapping[str, str] | None = None
    """Words for filters of subscribers."""
    info: bytes = b""
    """The client that published it, as JSON; empty for what the server says."""


JOIN, LEAVE = "join", "leave"


def auction_channel(auction_id: UUID) -> str:
    """Return the replayed channel (and stream) of an auction."""
    return f"auctions:{auction_id}"


def ticker_channel(auction_id: UUID) -> str:
    """Return the latest-value channel of an auction."""
    return f"ticker:{auction_id}"


PERSONAL_PREFIX = "personal:#"
"""How every personal channel's name begins."""


def personal_channel(user_id: UUID) -> str:
    """Return the replayed channel (and stream) of one user."""
    return f"{PERSONAL_PREFIX}{user_id}"


_CROWDS = (f"{Kind.AUCTIONS}:", f"{Kind.TICKER}:")


def viewer_group_of(channel: str) -> str | None:
    """Return what the followers of a channel are counted for: an auction, through its events or its ticker; else None.

    How many they are may be told to anybody, who they are to nobody.
    """
    return channel.partition(":")[2] if channel.startswith(_CROWDS) else None


def listing_stream(listing_id: UUID) -> str:
    """Return the stream of a listing's audit events; it is no channel, nobody can subscribe to it."""
    return f"listings:{listing_id}"


def signal_stream(signal_id: UUID) -> str:
    """Return the stream of a signal of abuse; it is no channel, nobody can subscribe to it."""
    return f"signals:{signal_id}"


def stock_channel(listing_id: UUID) -> str:
    """Return the latest-value channel of a listing: price, stock, status."""
    return f"stock:{listing_id}"


def parse_channel(channel: str) -> tuple[Kind, str] | None:
    """Split a channel into its kind and the text after the colon; None when the kind is unknown."""
    kind, colon, rest = channel.partition(":")
    if not colon or not rest or kind not in _KINDS:
        return None
    return Kind(kind), rest.removeprefix("#")


def parse_id(text: str) -> UUID | None:
    """Return the id in canonical spelling, or None: one aggregate has one channel name."""
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None
