"""Commands, replies and events of money that goes out to banks."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.payments.provider import AccountStatus
from protocols.payments.top_ups import PositiveMoney
from protocols.values import Cursor, Key, Money, PageLimit, Timestamp

PayoutStatus = Literal["created", "sent", "paid", "failed", "canceled"]
"""Where a payout is: `created` may be taken back, `sent` is with the bank; the money of a `failed` or `canceled` one is
in the wallet again. One that was `paid` may still fail: banks send money back."""


class CreatePayoutAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have the caller's payout account filled in; repeating it gives a new link for the same account."""

    country: Annotated[str, Meta(min_length=2, max_length=2, examples=["DE"])]
    """Where the bank is: ISO 3166-1 alpha-2. It counts the first time."""
    key: Key = ""


class ListPayoutAccounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the caller's payout account."""


class PayoutAccount(Struct, frozen=True, kw_only=True):
    """Who is paid out to."""

    id: UUID
    status: AccountStatus
    country: str
    onboarding_url: str
    """Where its owner fills it in, good for some minutes; only in answers of `create_payout_account`."""
    test_money: bool


class PayoutAccounts(Struct, frozen=True, kw_only=True):
    """The caller's payout account, if there is one."""

    items: list[PayoutAccount]
    next_cursor: str | None = None


class PayoutAccountChanged(Struct, frozen=True, kw_only=True):
    """Your payout account came to another status."""

    status: AccountStatus


class RequestPayout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send money of the caller's wallet to their bank."""

    money: PositiveMoney
    key: Key = ""


class GetPayout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a payout of the caller's."""

    payout_id: UUID


class ListPayouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The caller's payouts, newest first."""

    limit: PageLimit = 20
    cursor: Cursor = ""


class CancelPayout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take back a payout that was not sent; repeating it changes nothing."""

    payout_id: UUID


class Payout(Struct, frozen=True, kw_only=True):
    """One payout."""

    id: UUID
    money: Money
    status: PayoutStatus
    failure: str
    created_at: Timestamp
    test_money: bool


class Payouts(Struct, frozen=True, kw_only=True):
    """A page of payouts."""

    items: list[Payout]
    next_cursor: str | None


class PayoutChanged(Struct, frozen=True, kw_only=True):
    """A payout of yours came to another status."""

    payout_id: UUID
    status: PayoutStatus
    money: Money
    failure: str
