"""Acting as a cardholder and a bank towards the built-in test provider; refused where real money moves."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from protocols.payments.provider import AccountStatus, PaymentStatus

TestCard = Literal["visa", "declined", "three_d_secure", "slow", "disputed"]
"""How a test card behaves:

- `visa`: pays. `declined`: does not.
- `three_d_secure`: asks its owner first, and pays when the confirmation is repeated with `authenticated: true`.
- `slow`: pays a few seconds later.
- `disputed`: pays, and its owner disputes it a few seconds later.
"""

TestBank = Literal["pays", "fails"]
"""What the bank of a test account does with a payout, a few seconds after it was sent."""


class ConfirmTestPayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pay with a test card, as the provider's own form in a browser does."""

    client_secret: Annotated[
        str, Meta(min_length=1, max_length=100, examples=["test_secret_6b1f0c2e9d8a4f7fb3a1c5d2e4f60718"])
    ]
    card: TestCard
    authenticated: bool | None = None
    """Whether the card's owner agreed; null until they were asked."""


class TestPayment(Struct, frozen=True, kw_only=True):
    """What became of it at the provider."""

    status: PaymentStatus
    failure: str
    test_money: bool = True


class OnboardTestAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fill in the caller's test payout account, as the provider's own pages do."""

    status: AccountStatus = "active"
    bank: TestBank = "pays"


class TestAccount(Struct, frozen=True, kw_only=True):
    """What the provider knows of it now."""

    status: AccountStatus
    bank: TestBank
    test_money: bool = True


TEST_CARDS: tuple[TestCard, ...] = ("visa", "declined", "three_d_secure", "slow", "disputed")
