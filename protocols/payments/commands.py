"""Commands, queries and replies of payments."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from protocols.payments.postings import Purpose, Reason
from protocols.values import AMOUNT_MAX, Currency, Cursor, PageLimit, Timestamp

Balance = Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX, examples=[12_500])]
"""Minor units of the wallet's currency."""

Total = Annotated[int, Meta(examples=[-1_250_000])]
"""Minor units over many accounts: it may exceed what one amount may have."""


class ListWallets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the caller has."""


class Wallet(Struct, frozen=True, kw_only=True):
    """The caller's money of one currency, in its minor unit."""

    currency: Currency
    available: Balance
    """What may be spent now."""
    held: Balance
    """What holds have taken of it: it is used, or returns."""
    pending: Balance
    """What is on its way to the bank."""
    owed: Balance
    """What the caller owes after a chargeback; the next money that comes in pays it first."""
    frozen: bool
    """Nothing can be spent while the wallet is frozen."""


class Wallets(Struct, frozen=True, kw_only=True):
    """The caller's wallets, one for each currency that money ever moved in, on one page."""

    items: list[Wallet]
    next_cursor: str | None = None


class ListEntries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The movements of what the caller could spend of a currency, newest first."""

    currency: Currency
    limit: PageLimit = 20
    cursor: Cursor = ""


class Entry(Struct, frozen=True, kw_only=True):
    """One movement."""

    id: UUID
    number: int
    """Its place in the wallet, from 1 without a gap."""
    amount: Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX, examples=[-1_250])]
    """Minor units; negative where money left."""
    balance: Balance
    """What could be spent after it."""
    reason: Reason
    ref: UUID
    """What it was about: an order, an auction, a top-up."""
    at: Timestamp


class Entries(Struct, frozen=True, kw_only=True):
    """A page of movements."""

    items: list[Entry]
    next_cursor: str | None


class GetTreasury(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the books add up."""


class CurrencyTotals(Struct, frozen=True, kw_only=True):
    """The totals of one currency, in its minor unit."""

    currency: Currency
    trial_balance: Total
    """All credits less all debits: zero."""
    held: Total
    """What the accounts of holds have."""
    open_holds: Total
    """What the open holds say; the same."""
    wallets: Total
    """What users may spend."""
    escrow: Total
    payable: Total
    receivable: Total
    commission: Total
    tax: Total
    exchange: Total
    external: Total
    """Money outside, below zero by what came in."""
    balanced: bool


class AccountFault(Struct, frozen=True, kw_only=True):
    """An account whose balance is not the sum of its transfers."""

    owner_id: UUID
    """Whose it is: a user, a deal, or zeros for the market itself."""
    currency: Currency
    purpose: Purpose
    balance: Total
    expected: Total
    """What its transfers add up to."""
    found_at: Timestamp


class Treasury(Struct, frozen=True, kw_only=True):
    """The totals of the market's books at one instant."""

    balanced: bool
    """Every currency is, and no account is wrong."""
    currencies: list[CurrencyTotals]
    faulty_accounts: int
    """How many accounts the audit found wrong; it adds up all transfers again, round after round."""
    faults: list[AccountFault]
    """The first of them."""
