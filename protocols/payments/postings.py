"""What may be asked of the books: accounts and the steps that move money between them. Data, no behaviour.

Every amount is in minor units of the account's currency. An account's balance is its credits less its debits, so what
the market owes somebody is positive, and what others owe the market is negative. The balances of a currency add up to
zero at every commit.
"""

from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

Purpose = Literal[
    "available", "held", "escrow", "payable", "receivable", "commission", "tax", "exchange", "external"
]
"""What an account is for:

- `available`: what a user may spend. `held`: what a hold has taken of it.
- `escrow`: what waits for a hand-over; its owner is the deal, not a person.
- `payable`: a payout on its way to the bank.
- `receivable`: what a user owes the market after a chargeback; never above zero.
- `commission`, `tax`: what the market earned, and what it owes an authority.
- `exchange`: the market's stock of a currency.
- `external`: money outside (card processor, bank); below zero by what came in.
"""

LIMITED: frozenset[str] = frozenset({"available", "held", "escrow", "payable"})
"""Accounts that never fall below zero; the table checks it too."""

PLATFORM = UUID(int=0)
"""The owner of the market's own accounts."""

Reason = Literal[
    "top_up",
    "payout",
    "payout_returned",
    "hold",
    "hold_returned",
    "sale",
    "delivery",
    "commission",
    "tax",
    "refund",
    "refund_returned",
    "exchange",
    "exchange_spread",
    "chargeback",
    "chargeback_returned",
    "debt_repaid",
    "correction",
]
"""Why money moved, as statements show it."""

EXPIRE_HOLD = "expire_hold"
"""The timer that whoever takes a hold sets at its end; its ref is the hold."""

HoldStatus = Literal["held", "posted", "voided", "expired"]


class Account(Struct, frozen=True, order=True):
    """One account, named by whose it is, its currency and its purpose."""

    owner_id: UUID
    currency: str
    purpose: Purpose


class Transfer(Struct, frozen=True, kw_only=True):
    """Move an amount from one account to another of the same currency."""

    transfer_id: UUID
    """Made by who asks, stored before it is asked: a repeat moves nothing."""
    debit: Account
    credit: Account
    amount_minor: int
    reason: Reason
    ref: UUID
    """What it is about: an order, an auction, a top-up."""


class Hold(Struct, frozen=True, kw_only=True):
    """Take an amount off what a user may spend, until it is posted, voided or expires."""

    hold_id: UUID
    """Also the id of the transfer that takes it."""
    owner_id: UUID
    currency: str
    amount_minor: int
    ref: UUID
    expires_at_ms: int


class HoldPart(Struct, frozen=True, kw_only=True):
    """What of a hold goes where."""

    transfer_id: UUID
    credit: Account
    amount_minor: int
    reason: Reason


class PostHold(Struct, frozen=True, kw_only=True):
    """Use a hold: the parts go to their accounts, the rest returns to its owner. A hold is used once."""

    hold_id: UUID
    parts: tuple[HoldPart, ...]
    return_id: UUID
    """The id of the transfer that returns the rest, if there is one."""


class VoidHold(Struct, frozen=True, kw_only=True):
    """Give the whole of a hold back."""

    hold_id: UUID
    return_id: UUID


Step: TypeAlias = Transfer | Hold | PostHold | VoidHold
"""One step of a chain; the steps of a chain happen together or not at all."""
