"""The port to a payment provider: cards, payouts, accounts, and reading its objects again.

Two adapters: `stripe_provider.py`, and `built_in_provider.py`, which moves no real money. Every call that makes
something takes an id of ours and is safe to repeat with it. Each call raises TemporarilyUnavailable when its outcome is
unknown and ProviderRefusedError when the provider said no.
"""

from collections.abc import AsyncIterator
from typing import Protocol
from uuid import UUID

from protocols.payments.provider import (
    Movement,
    ProviderAccount,
    ProviderDispute,
    ProviderMethod,
    ProviderPayment,
    ProviderPayout,
    ProviderRefund,
)


class Provider(Protocol):
    """A payment provider."""

    async def create_payment(
        self, own_id: UUID, amount_minor: int, currency: str, customer: str, method: str
    ) -> ProviderPayment:
        """Make a payment; with a saved method it is tried at once, without one the client confirms it."""
        ...

    async def find_payment(self, own_id: UUID, since_ms: int) -> ProviderPayment | None:
        """Return the payment that was made with our id, at `since_ms` or later; None when there is none."""
        ...

    async def read_payment(self, reference: str) -> ProviderPayment:
        """Read a payment as it is now."""
        ...

    async def cancel_payment(self, reference: str) -> ProviderPayment:
        """Cancel a payment that can be; return it as it is then."""
        ...

    async def create_refund(self, own_id: UUID, payment: str, amount_minor: int) -> ProviderRefund:
        """Send money of a payment back."""
        ...

    async def find_refund(self, own_id: UUID, payment: str) -> ProviderRefund | None:
        """Return the refund of a payment that was made with our id; None when there is none."""
        ...

    async def read_refund(self, reference: str) -> ProviderRefund:
        """Read a refund as it is now."""
        ...

    async def read_dispute(self, reference: str) -> ProviderDispute:
        """Read a dispute as it is now."""
        ...

    async def save_method(self, owner_id: UUID, customer: str, token: str) -> ProviderMethod:
        """Keep a card for later payments of a user; `customer` is empty until the user has one."""
        ...

    async def forget_method(self, reference: str) -> None:
        """Forget a card; one that is gone stays so."""
        ...

    async def create_account(self, own_id: UUID, country: str) -> ProviderAccount:
        """Make an account that can be paid out to, once its owner has filled it in."""
        ...

    async def read_account(self, reference: str) -> ProviderAccount:
        """Read an account as it is now."""
        ...

    async def onboarding_link(self, reference: str) -> str:
        """Return where an account's owner fills it in; good for a few minutes."""
        ...

    async def create_payout(
        self, own_id: UUID, account: str, amount_minor: int, currency: str
    ) -> ProviderPayout:
        """Send money to an account's bank."""
        ...

    async def find_payout(self, own_id: UUID, account: str, since_ms: int) -> ProviderPayout | None:
        """Return the payout that was made with our id, at `since_ms` or later; None when there is none."""
        ...

    async def read_payout(self, reference: str, account: str) -> ProviderPayout:
        """Read a payout as it is now; the money of one that failed is back with us."""
        ...

    def list_movements(self, since_ms: int, until_ms: int) -> AsyncIterator[Movement]:
        """Read the provider's books from one instant until before another, newest first."""
        ...

    async def ping(self) -> None:
        """Return when the provider answers."""
        ...
