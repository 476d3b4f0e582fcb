"""Commands, replies and events of money that comes in by card, and goes back to it."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.values import AmountMinor, Currency, Cursor, Key, Money, PageLimit, Timestamp

TopUpStatus = Literal[
    "created", "requires_action", "processing", "succeeded", "failed", "canceled", "refunded"
]
"""Where a top-up is:

- `created`: the provider was not heard of yet. `requires_action`: the payer has to give or confirm a card.
- `processing`: the bank takes its time. `succeeded`: the money is in the wallet.
- `failed`: the card was refused; another card may still pay. `canceled`: it will not be paid; money that comes all the
  same goes back by itself.
- `refunded`: all of it went back to the card.
"""

RefundStatus = Literal["created", "processing", "succeeded", "failed"]
MethodStatus = Literal["pending", "active", "removed"]


class PositiveMoney(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount above zero, in the currency's minor unit."""

    amount: AmountMinor
    currency: Currency


class CreateTopUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bring money into the caller's wallet."""

    money: PositiveMoney
    method_id: UUID | None = None
    """A saved card to charge at once."""
    key: Key = ""


class GetTopUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a top-up of the caller's."""

    top_up_id: UUID


class ListTopUps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The caller's top-ups, newest first."""

    limit: PageLimit = 20
    cursor: Cursor = ""


class CancelTopUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give up a top-up that was not paid; repeating it changes nothing."""

    top_up_id: UUID


class TopUp(Struct, frozen=True, kw_only=True):
    """One top-up."""

    id: UUID
    money: Money
    status: TopUpStatus
    refunded: Annotated[int, Meta(ge=0, examples=[0])]
    """How much of it went back, or is on its way, in minor units."""
    failure: str
    """The provider's word for why the last card was refused."""
    client_secret: str
    """What the payer's browser confirms the payment with; only in answers of `create_top_up`."""
    created_at: Timestamp
    test_money: bool
    """No real money moved: the server uses its built-in test provider."""


class TopUps(Struct, frozen=True, kw_only=True):
    """A page of top-ups."""

    items: list[TopUp]
    next_cursor: str | None


class TopUpChanged(Struct, frozen=True, kw_only=True):
    """A top-up of yours came to another status, or money of it went back."""

    top_up_id: UUID
    status: TopUpStatus
    money: Money
    refunded: int
    failure: str


class RefundTopUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send money of a top-up back to its card."""

    top_up_id: UUID
    amount: AmountMinor
    key: Key = ""


class TopUpRefund(Struct, frozen=True, kw_only=True):
    """Money on its way back to a card."""

    id: UUID
    top_up_id: UUID
    money: Money
    status: RefundStatus
    test_money: bool


class AddMethod(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a card for later top-ups."""

    token: Annotated[str, Meta(min_length=1, max_length=100, examples=["visa"])]
    """The provider's name of it, as its form in the browser gives it: letters, figures and `_`. With the test provider
    a test card's word."""
    key: Key = ""


class ListMethods(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The caller's saved cards, newest first."""


class RemoveMethod(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forget a saved card; repeating it changes nothing."""

    method_id: UUID


class Method(Struct, frozen=True, kw_only=True):
    """A saved card."""

    id: UUID
    status: MethodStatus
    brand: str
    last4: str
    expires: str
    """Its last month: `2030-12`."""
    test_money: bool


class Methods(Struct, frozen=True, kw_only=True):
    """The caller's saved cards, on one page."""

    items: list[Method]
    next_cursor: str | None = None


class TopUpDisputed(Struct, frozen=True, kw_only=True):
    """A cardholder disputed a top-up of yours: its money was taken back; `owed` is what you now owe."""

    top_up_id: UUID
    money: Money
    owed: int


class DisputeClosed(Struct, frozen=True, kw_only=True):
    """A dispute of a top-up of yours was decided: `won` brings its money back."""

    top_up_id: UUID
    money: Money
    outcome: Literal["won", "lost"]
