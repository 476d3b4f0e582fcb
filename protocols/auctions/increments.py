"""Increment tables on the wire."""

from typing import Annotated

from msgspec import Meta, Struct

from protocols.auctions.terms import IncrementRow
from protocols.values import Currency, PageLimit, Timestamp


class SetIncrements(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replace a currency's increment table; open auctions keep the one they started with."""

    currency: Currency
    increments: Annotated[list[IncrementRow], Meta(min_length=1, max_length=64)]


class GetIncrements(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a currency's increment table and the ones before it."""

    currency: Currency
    limit: PageLimit = 50
    before: Annotated[int, Meta(ge=1, le=2_147_483_647)] = 2_147_483_647
    """Of the history, versions below this number."""


class IncrementVersion(Struct, frozen=True, kw_only=True):
    """One version of an increment table."""

    version: int
    """0 is the built-in table."""
    increments: list[IncrementRow]
    set_at: Timestamp | None


class IncrementTable(Struct, frozen=True, kw_only=True):
    """The table that auctions of a currency get now, and its history, newest first."""

    currency: Currency
    current: IncrementVersion
    history: list[IncrementVersion]
