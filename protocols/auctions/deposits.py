"""Deposits of bidders: what bidders are told, and the refusal of a bid without one."""

from uuid import UUID

from msgspec import Struct

from protocols.errors import Refusal
from protocols.values import AmountMinor, Currency


class DepositRequired(Refusal):
    """This auction takes a deposit of its bidders: agree to it with your first bid, in `deposit`."""

    code, number, status = "deposit_required", 750, 422
    example = {"deposit": 1250, "currency": "EUR"}  # noqa: RUF012 - never changed


class DepositTaken(Struct, frozen=True, kw_only=True):
    """Your first bid took a deposit off your wallet until the auction is over."""

    auction_id: UUID
    title: str
    """Of the goods."""
    deposit: AmountMinor
    currency: Currency


class DepositReturned(Struct, frozen=True, kw_only=True):
    """An auction is over that you did not win, or that was cancelled, and your deposit is in your wallet again."""

    auction_id: UUID
    title: str
    deposit: AmountMinor
    currency: Currency


class DepositApplied(Struct, frozen=True, kw_only=True):
    """You won, and your deposit waits in the escrow of the deal, which you release."""

    auction_id: UUID
    title: str
    deposit: AmountMinor
    currency: Currency
    escrow_id: UUID


class DepositLapsed(Struct, frozen=True, kw_only=True):
    """A deposit was returned before its auction was settled: there is none to apply. Winner and seller are told."""

    auction_id: UUID
    title: str
    deposit: AmountMinor
    currency: Currency


PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "deposit_taken": DepositTaken,
    "deposit_returned": DepositReturned,
    "deposit_applied": DepositApplied,
    "deposit_lapsed": DepositLapsed,
}
"""Event types on `personal:#<user_id>`."""
