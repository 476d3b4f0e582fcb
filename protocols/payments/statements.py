"""A wallet's statement, as it is asked for and answered."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from protocols.errors import Refusal
from protocols.payments.commands import Balance, Entry
from protocols.values import Currency, Cursor, PageLimit, Timestamp


class StatementTooLong(Refusal):
    """A statement as PDF has so many movements at most; take a shorter time, or CSV."""

    code, number, status = "statement_too_long", 810, 422
    example = {"entries": 2301, "maximum": 1000}  # noqa: RUF012 - never changed


class GetStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came and went of the caller's spendable money from one instant until before another, oldest first."""

    currency: Currency
    since: Annotated[datetime, Meta(tz=True, examples=["2025-11-01T00:00:00Z"])] = field(name="from")
    until: Annotated[datetime, Meta(tz=True, examples=["2025-12-01T00:00:00Z"])] = field(name="to")
    format: Literal["json", "csv", "pdf"] = "json"
    """`csv` and `pdf` are files, over REST alone: they have no pages."""
    limit: PageLimit = 20
    cursor: Cursor = ""


class Statement(Struct, frozen=True, kw_only=True):
    """A page of a statement. `opening` and `closing` are those of the whole."""

    currency: Currency
    since: Timestamp = field(name="from")
    until: Timestamp = field(name="to")
    time_zone: Literal["UTC"]
    """Of every instant in it."""
    opening: Balance
    """What could be spent before its first movement."""
    closing: Balance
    """What could be spent after its last one."""
    entries: int
    """How many movements it has."""
    items: list[Entry]
    next_cursor: str | None
