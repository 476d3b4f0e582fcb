"""The market's commission on the wire: rules by version."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from protocols.payments.deals import DealKind
from protocols.values import AMOUNT_MAX, AmountMinor, Currency, Cursor, InputTime, Key, PageLimit, Timestamp

BasisPoints = Annotated[int, Meta(ge=0, le=10_000, examples=[750])]
"""Hundredths of a percent."""

Fee = Annotated[int, Meta(ge=0, le=AMOUNT_MAX, examples=[30])]
Category = Annotated[str, Meta(min_length=1, max_length=40, examples=["cycling"])]
SellerLevel = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$(?!\n)", max_length=32, examples=["trusted"])]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)", max_length=2, examples=["DE"])]


class CommissionAmounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The amounts of a rule in one currency, in its minor unit."""

    currency: Currency
    fixed: Fee = 0
    """Added to the percentage, for each line."""
    minimum: Fee = 0
    """The least commission of a line."""
    maximum: AmountMinor | None = None
    """The most commission of a line."""
    cap: AmountMinor | None = None
    """The most that the rule takes of all lines of a deal together."""


class CommissionRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of lines that fit. Each list names what it is for, an empty one is for everything.

    A line has to fit every list that is not empty. Of the rules that fit, the one with the most lists that are not
    empty applies, of equal ones the first. Only a rule with four empty lists applies to shipping.
    """

    categories: Annotated[list[Category], Meta(max_length=50)] = []
    """Those below them are included."""
    currencies: Annotated[list[Currency], Meta(max_length=50)] = []
    kinds: Annotated[list[DealKind], Meta(max_length=3)] = []
    seller_levels: Annotated[list[SellerLevel], Meta(max_length=20)] = []
    basis_points: BasisPoints = 0
    amounts: Annotated[list[CommissionAmounts], Meta(max_length=50)] = []
    """In a currency that is not here, the percentage is all."""


class FeeTax(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tax on commissions that people of a country pay."""

    country: Country
    basis_points: BasisPoints


class SetCommission(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make the next version of the commission rules; deals that were quoted keep theirs."""

    rules: Annotated[list[CommissionRule], Meta(max_length=200)]
    taxes: Annotated[list[FeeTax], Meta(max_length=300)] = []
    effective_from: InputTime | None = None
    """None: from now on."""
    key: Key = ""


class ListCommissionVersions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the commission rules and the versions before them."""

    limit: PageLimit = 20
    cursor: Cursor = ""


class CommissionVersion(Struct, frozen=True, kw_only=True):
    """One version of the commission rules."""

    version: int
    effective_from: Timestamp
    rules: list[CommissionRule]
    taxes: list[FeeTax]
    set_by: UUID
    set_at: Timestamp


class CommissionVersions(Struct, frozen=True, kw_only=True):
    """A page of versions, the newest first."""

    current: int
    """The version that holds now; 0: there is none, and nothing is kept."""
    items: list[CommissionVersion]
    next_cursor: str | None
