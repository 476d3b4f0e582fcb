"""What a deal is to the market's commission: its lines, and what is kept of each. Data, no behaviour.

Amounts are in minor units of the deal's currency.
"""

from typing import Literal

from msgspec import Struct

DealKind = Literal["auction", "sale", "delivery"]


class DealLine(Struct, frozen=True, kw_only=True):
    """One thing that is paid for."""

    amount_minor: int
    categories: tuple[str, ...] = ()
    """The category of the goods and those above it."""
    shipping: bool = False
    """It pays for the way, not for goods: only a rule for everything applies."""


class Deal(Struct, frozen=True, kw_only=True):
    """What is to be quoted."""

    kind: DealKind
    currency: str
    lines: tuple[DealLine, ...]
    country: str = ""
    """Where who receives the money is taxed; empty: not known, and no tax is put on fees."""
    seller_level: str = ""


class QuoteLine(Struct, frozen=True, kw_only=True):
    """What is kept of one line, part by part."""

    amount_minor: int
    rule: int | None
    """Which rule of the version applied, from 0; None: none, and nothing is kept."""
    percent_minor: int
    fixed_minor: int
    bound_minor: int
    """What minimum, maximum, cap and the size of the line add, below zero where they take."""
    fee_minor: int
    """The commission: the three parts together."""
    tax_minor: int
    """The tax on it."""


class Quote(Struct, frozen=True, kw_only=True):
    """What is kept of a deal. It holds for the deal for ever, whatever the rules become."""

    version: int
    """Of the rules; 0: there were none."""
    currency: str
    tax_basis_points: int
    lines: tuple[QuoteLine, ...]

    @property
    def fee_minor(self) -> int:
        """The commission of all lines."""
        return sum(line.fee_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        """The tax on the commission of all lines."""
        return sum(line.tax_minor for line in self.lines)

    @property
    def net_minor(self) -> int:
        """What is left for who receives the money."""
        return sum(line.amount_minor - line.fee_minor - line.tax_minor for line in self.lines)
