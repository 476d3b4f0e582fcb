"""The built-in test provider: cards, accounts and a bank that behave like real ones and move no money.

Its state is in tables of its own, apart from the market's books, so it survives restarts and serves all processes. What
it changes it tells by signed webhooks, which a job delivers to the market's own intake.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from protocols.payments.built_in import TEST_CARDS
from protocols.payments.provider import (
    Movement,
    ProviderAccount,
    ProviderDispute,
    ProviderMethod,
    ProviderPayment,
    ProviderPayout,
    ProviderRefund,
    ProviderRefusedError,
)
from protocols.values import new_id, now_instant
from storage.engines.postgres import Connection, Database
from storage.payments import built_in_objects as objects
from storage.payments.built_in_objects import TestObject
from storage.payments.built_in_rules import pay

REFUSED_CARDS = frozenset({"declined"})
"""Test cards that cannot even be saved."""


@dataclass(frozen=True, slots=True)
class BuiltInProvider:
    """A provider within the market's own database."""

    database: Database

    async def create_payment(
        self, own_id: UUID, amount_minor: int, currency: str, customer: str, method: str
    ) -> ProviderPayment:
        """Make a payment; a saved card is charged at once."""
        async with self.database.transaction() as db:
            made, is_new = await self._make(
                db,
                "payment",
                own_id,
                customer,
                amount_minor,
                currency,
                status="requires_action",
                secret=f"test_secret_{new_id().hex}",
            )
            if is_new and method:
                card = await objects.lock_reference(db, method)
                made = await pay(db, made, card.word, authenticated=None)
            return to_payment(made)

    async def find_payment(self, own_id: UUID, since_ms: int) -> ProviderPayment | None:  # noqa: ARG002 - by key
        """Return the payment of an id of ours."""
        async with self.database.connection() as db:
            found = await objects.lock_own(db, "payment", own_id)
        return None if found is None else to_payment(found)

    async def read_payment(self, reference: str) -> ProviderPayment:
        """Read a payment."""
        return to_payment(await self._read(reference))

    async def cancel_payment(self, reference: str) -> ProviderPayment:
        """Cancel a payment that waits for its card."""
        async with self.database.transaction() as db:
            found = await objects.lock_reference(db, reference)
            if found.status in {"requires_action", "failed"}:
                found = await objects.change(db, found, status="canceled")
                await objects.announce(db, "payment_intent.canceled", found)
            return to_payment(found)

    async def create_refund(self, own_id: UUID, payment: str, amount_minor: int) -> ProviderRefund:
        """Give money of a payment back, at once."""
        async with self.database.transaction() as db:
            paid = await objects.lock_reference(db, payment)
            if paid.status != "succeeded":
                raise ProviderRefusedError("charge_not_refundable")
            if await self._is_disputed(db, paid):
                raise ProviderRefusedError("charge_disputed")
            made, is_new = await self._make(
                db, "refund", own_id, payment, amount_minor, paid.currency, status="succeeded"
            )
            if is_new:
                await objects.move(db, "refund", made, -amount_minor)
                await objects.announce(db, "refund.updated", made)
            return to_refund(made)

    @staticmethod
    async def _is_disputed(db: Connection, payment: TestObject) -> bool:
        found = await objects.lock_own(db, "dispute", payment.object_id)
        return found is not None and found.status != "won"

    async def find_refund(self, own_id: UUID, payment: str) -> ProviderRefund | None:  # noqa: ARG002 - by key
        """Return the refund of an id of ours."""
        async with self.database.connection() as db:
            found = await objects.lock_own(db, "refund", own_id)
        return None if found is None else to_refund(found)

    async def read_refund(self, reference: str) -> ProviderRefund:
        """Read a refund."""
        return to_refund(await self._read(reference))

    async def read_dispute(self, reference: str) -> ProviderDispute:
        """Read a dispute."""
        found = await self._read(reference)
        return ProviderDispute(
            reference=found.reference,
            payment=found.parent,
            status=found.status,  # type: ignore[arg-type]  # the table has what was written
            amount_minor=found.amount_minor,
            currency=found.currency,
        )

    async def save_method(self, owner_id: UUID, customer: str, token: str) -> ProviderMethod:
        """Keep a test card, named by its word."""
        if token not in TEST_CARDS:
            raise ProviderRefusedError("resource_missing")
        if token in REFUSED_CARDS:
            raise ProviderRefusedError("card_declined")
        customer = customer or f"test_customer_{owner_id.hex}"
        async with self.database.transaction() as db:
            made, _ = await self._make(db, "method", None, customer, 0, "", status="active", word=token)
        return ProviderMethod(
            reference=made.reference, customer=customer, brand="visa", last4="4242", expires="2030-12"
        )

    async def forget_method(self, reference: str) -> None:
        """Forget a test card."""
        async with self.database.transaction() as db:
            await objects.change(db, await objects.lock_reference(db, reference), status="removed")

    async def create_account(self, own_id: UUID, country: str) -> ProviderAccount:
        """Make an account that nobody has filled in."""
        async with self.database.transaction() as db:
            made, _ = await self._make(db, "account", own_id, country, 0, "", status="pending", word="pays")
        return to_account(made)

    async def read_account(self, reference: str) -> ProviderAccount:
        """Read an account."""
        return to_account(await self._read(reference))

    async def onboarding_link(self, reference: str) -> str:  # noqa: ARG002 - one page for all
        """Return the route that fills a test account in."""
        return "/v1/test-payments/onboard"

    async def create_payout(
        self, own_id: UUID, account: str, amount_minor: int, currency: str
    ) -> ProviderPayout:
        """Send money to the bank of a test account, which answers a few seconds later."""
        async with self.database.transaction() as db:
            target = await objects.lock_reference(db, account)
            if target.status != "active":
                raise ProviderRefusedError("account_not_active")
            made, is_new = await self._make(
                db, "payout", own_id, account, amount_minor, currency, status="sent", word=target.word
            )
            if is_new:
                await objects.move(db, "payout", made, -amount_minor)
                await objects.continue_later(db, made)
        return to_payout(made)

    async def find_payout(self, own_id: UUID, account: str, since_ms: int) -> ProviderPayout | None:  # noqa: ARG002
        """Return the payout of an id of ours."""
        async with self.database.connection() as db:
            found = await objects.lock_own(db, "payout", own_id)
        return None if found is None else to_payout(found)

    async def read_payout(self, reference: str, account: str) -> ProviderPayout:  # noqa: ARG002 - by its own name
        """Read a payout."""
        return to_payout(await self._read(reference))

    async def list_movements(self, since_ms: int, until_ms: int) -> AsyncIterator[Movement]:
        """Read the movements of an interval."""
        async with self.database.connection() as db:
            rows = await objects.list_movements(db, since_ms, until_ms)
        for row in rows:
            yield row

    async def ping(self) -> None:
        """Return: who reaches the database reaches this provider."""
        await self.database.ping()

    async def _read(self, reference: str) -> TestObject:
        async with self.database.transaction() as db:
            return await objects.lock_reference(db, reference)

    async def _make(
        self,
        db: Connection,
        kind: str,
        own_id: UUID | None,
        parent: str,
        amount_minor: int,
        currency: str,
        **fields: Any,  # noqa: ANN401 - texts of the row
    ) -> tuple[TestObject, bool]:
        """Return the object of an id of ours, and whether it is new."""
        texts = {"word": "", "secret": ""} | fields
        wanted = TestObject(
            object_id=new_id(),
            kind=kind,
            own_id=own_id,
            parent=parent,
            amount_minor=amount_minor,
            currency=currency,
            failure="",
            at_ms=now_instant(),
            **texts,
        )
        await objects.insert(db, wanted)
        kept = wanted if own_id is None else await objects.lock_own(db, kind, own_id)
        assert kept is not None, "it was inserted, or was there"
        if (kept.amount_minor, kept.currency) != (amount_minor, currency):
            raise ProviderRefusedError("idempotency_error")
        return kept, kept.object_id == wanted.object_id


def to_payment(found: TestObject) -> ProviderPayment:
    """Return a payment as the port shows it."""
    return ProviderPayment(
        reference=found.reference,
        own_id=found.own_id,
        status=found.status,  # type: ignore[arg-type]  # the table has what was written
        amount_minor=found.amount_minor,
        currency=found.currency,
        client_secret=found.secret,
        failure=found.failure,
        entry=found.reference if found.status == "succeeded" else "",
    )


def to_refund(found: TestObject) -> ProviderRefund:
    """Return a refund as the port shows it."""
    return ProviderRefund(
        reference=found.reference,
        own_id=found.own_id,
        status=found.status,  # type: ignore[arg-type]  # the table has what was written
        failure=found.failure,
    )


def to_account(found: TestObject) -> ProviderAccount:
    """Return an account as the port shows it."""
    return ProviderAccount(
        reference=found.reference,
        own_id=found.own_id,
        status=found.status,  # type: ignore[arg-type]  # the table has what was written
    )


def to_payout(found: TestObject) -> ProviderPayout:
    """Return a payout as the port shows it."""
    return ProviderPayout(
        reference=found.reference,
        own_id=found.own_id,
        status=found.status,  # type: ignore[arg-type]  # the table has what was written
        failure=found.failure,
        entry=found.reference,
    )
