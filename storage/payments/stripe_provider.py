"""Stripe, by its official library: one charge per payment on the market's account, a transfer and a payout per payout.

Each call that makes something carries an id of ours twice: as the idempotency key, which Stripe keeps for a day at
least, and in the object's metadata, which it keeps for good.
"""

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import stripe
import structlog

from protocols.errors import TemporarilyUnavailable
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
from storage.payments import stripe_objects as objects

API_VERSION = "2026-10-28.endive"
"""What `stripe_objects` reads; a newer library changes nothing until this does."""

CALL_TIMEOUT_S = 8.0
"""Below what a command may take; who makes a call in a job has longer."""

PAGE = 100
PAGES_MAX = 200
"""Further pages are not read: a list that long is not what was asked for."""

RETRY_AFTER_S = 5

T = TypeVar("T")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StripeProvider:
    """One Stripe account."""

    client: stripe.StripeClient
    home_url: str
    """Where the provider's pages send their visitors back to."""

    async def create_payment(
        self, own_id: UUID, amount_minor: int, currency: str, customer: str, method: str
    ) -> ProviderPayment:
        """Make a PaymentIntent for cards; with a saved card it is confirmed at once."""
        params: Any = {
            "amount": amount_minor,
            "currency": currency.lower(),
            "payment_method_types": ["card"],
            "metadata": {objects.OWN_ID: str(own_id)},
        }
        if method:
            params |= {"customer": customer, "payment_method": method, "confirm": True}
        try:
            made = await _ask(self.client.v1.payment_intents.create_async(params, _key("payment", own_id)))
        except ProviderRefusedError as refused:
            if refused.about is None:
                raise
            return objects.to_payment(
                refused.about
            )  # a saved card that is declined leaves a payment that failed
        return objects.to_payment(made)

    async def find_payment(self, own_id: UUID, since_ms: int) -> ProviderPayment | None:
        """Return the PaymentIntent whose metadata have our id. Cost: a page of 100 each."""
        async for made in self._pages(self.client.v1.payment_intents.list_async, {}, since_ms):
            if objects.own_id_of(made) == own_id:
                return objects.to_payment(made)
        return None

    async def read_payment(self, reference: str) -> ProviderPayment:
        """Read a PaymentIntent."""
        return objects.to_payment(await _ask(self.client.v1.payment_intents.retrieve_async(reference)))

    async def cancel_payment(self, reference: str) -> ProviderPayment:
        """Cancel a PaymentIntent; one that has ended or is under way is returned as it is."""
        try:
            return objects.to_payment(await _ask(self.client.v1.payment_intents.cancel_async(reference)))
        except ProviderRefusedError:
            return await self.read_payment(reference)

    async def create_refund(self, own_id: UUID, payment: str, amount_minor: int) -> ProviderRefund:
        """Refund a part of a PaymentIntent."""
        params: Any = {
            "payment_intent": payment,
            "amount": amount_minor,
            "metadata": {objects.OWN_ID: str(own_id)},
        }
        return objects.to_refund(
            await _ask(self.client.v1.refunds.create_async(params, _key("refund", own_id)))
        )

    async def find_refund(self, own_id: UUID, payment: str) -> ProviderRefund | None:
        """Return the refund whose metadata have our id. Cost: a page of 100 each."""
        params = {"payment_intent": payment}
        async for made in self._pages(self.client.v1.refunds.list_async, params, 0):
            if objects.own_id_of(made) == own_id:
                return objects.to_refund(made)
        return None

    async def read_refund(self, reference: str) -> ProviderRefund:
        """Read a refund."""
        return objects.to_refund(await _ask(self.client.v1.refunds.retrieve_async(reference)))

    async def read_dispute(self, reference: str) -> ProviderDispute:
        """Read a dispute."""
        return objects.to_dispute(await _ask(self.client.v1.disputes.retrieve_async(reference)))

    async def save_method(self, owner_id: UUID, customer: str, token: str) -> ProviderMethod:
        """Attach a PaymentMethod to the user's Customer, who is made with the first one."""
        if not customer:
            params: Any = {"metadata": {objects.OWN_ID: str(owner_id)}}
            made = await _ask(self.client.v1.customers.create_async(params, _key("customer", owner_id)))
            customer = made["id"]
        attached = await _ask(self.client.v1.payment_methods.attach_async(token, {"customer": customer}))
        return objects.to_method(attached, customer)

    async def forget_method(self, reference: str) -> None:
        """Detach a PaymentMethod."""
        try:
            await _ask(self.client.v1.payment_methods.detach_async(reference))
        except ProviderRefusedError as refused:
            _log.info("method_was_gone", reason=refused.reason)

    async def create_account(self, own_id: UUID, country: str) -> ProviderAccount:
        """Make an account with hosted onboarding that may receive transfers."""
        params: Any = {
            "type": "express",
            "country": country,
            "capabilities": {"transfers": {"requested": True}},
            "settings": {"payouts": {"schedule": {"interval": "manual"}}},
            "metadata": {objects.OWN_ID: str(own_id)},
        }
        return objects.to_account(
            await _ask(self.client.v1.accounts.create_async(params, _key("account", own_id)))
        )

    async def read_account(self, reference: str) -> ProviderAccount:
        """Read an account."""
        return objects.to_account(await _ask(self.client.v1.accounts.retrieve_async(reference)))

    async def onboarding_link(self, reference: str) -> str:
        """Make a link to Stripe's pages, which bring their visitor back to the market."""
        params: Any = {
            "account": reference,
            "type": "account_onboarding",
            "refresh_url": self.home_url,
            "return_url": self.home_url,
        }
        link: str = (await _ask(self.client.v1.account_links.create_async(params)))["url"]
        return link

    async def create_payout(
        self, own_id: UUID, account: str, amount_minor: int, currency: str
    ) -> ProviderPayout:
        """Transfer to the account, then from there to its bank. A transfer that was made is not made again."""
        metadata = {objects.OWN_ID: str(own_id)}
        moved: Any = {
            "amount": amount_minor,
            "currency": currency.lower(),
            "destination": account,
            "metadata": metadata,
        }
        transfer = await _ask(self.client.v1.transfers.create_async(moved, _key("transfer", own_id)))
        sent: Any = {"amount": amount_minor, "currency": currency.lower(), "metadata": metadata}
        try:
            options = _key("payout", own_id)
            options["stripe_account"] = account
            made = await _ask(self.client.v1.payouts.create_async(sent, options))
        except ProviderRefusedError as refused:
            await self._reverse(transfer["id"], own_id)
            return objects.to_lost_payout(transfer, refused.reason)
        return await self._settled(objects.to_payout(made, transfer["id"]), own_id)

    async def find_payout(self, own_id: UUID, account: str, since_ms: int) -> ProviderPayout | None:
        """Return the payout whose metadata have our id; a transfer without one is no payout yet."""
        params = {"destination": account}
        async for moved in self._pages(self.client.v1.transfers.list_async, params, since_ms):
            if objects.own_id_of(moved) == own_id:
                options = {"stripe_account": account}
                async for made in self._pages(self.client.v1.payouts.list_async, {}, since_ms, options):
                    if objects.own_id_of(made) == own_id:
                        return await self._settled(objects.to_payout(made, moved["id"]), own_id)
                if moved.get("reversed"):
                    return objects.to_lost_payout(moved)
        return None

    async def read_payout(self, reference: str, account: str) -> ProviderPayout:
        """Read a payout; when it failed, its transfer is taken back."""
        transfer, _, payout = reference.partition(":")
        made = await _ask(self.client.v1.payouts.retrieve_async(payout, None, {"stripe_account": account}))
        found = objects.to_payout(made, transfer)
        return found if found.own_id is None else await self._settled(found, found.own_id)

    async def _settled(self, found: ProviderPayout, own_id: UUID) -> ProviderPayout:
        if found.status == "failed":
            await self._reverse(found.reference.partition(":")[0], own_id)
        return found

    async def _reverse(self, transfer: str, own_id: UUID) -> None:
        known = await _ask(self.client.v1.transfers.retrieve_async(transfer))
        if not known.get("reversed"):
            await _ask(
                self.client.v1.transfers.reversals.create_async(transfer, None, _key("reversal", own_id))
            )

    async def list_movements(self, since_ms: int, until_ms: int) -> AsyncIterator[Movement]:
        """Read the balance transactions that are about payments, refunds, disputes and transfers."""
        params = {"expand": ["data.source"]}
        async for made in self._pages(self.client.v1.balance_transactions.list_async, params, since_ms):
            if made["created"] * 1000 < until_ms:
                movement = objects.to_movement(made)
                if movement is not None:
                    yield movement

    async def ping(self) -> None:
        """Return when Stripe answers."""
        await _ask(self.client.v1.balance.retrieve_async())

    async def _pages(
        self,
        ask: Any,  # noqa: ANN401 - a method of the library
        params: dict[str, Any],
        since_ms: int,
        options: dict[str, Any] | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of a list that were made at an instant or later; it is newest first."""
        after: dict[str, Any] = {}
        for _ in range(PAGES_MAX):
            page = await _ask(ask({"limit": PAGE, **params, **after}, options))
            for made in page["data"]:
                if made["created"] * 1000 >= since_ms - 1000:  # theirs are whole seconds
                    yield made
            if not page["has_more"] or page["data"][-1]["created"] * 1000 < since_ms - 1000:
                return
            after = {"starting_after": page["data"][-1]["id"]}
        raise TemporarilyUnavailable("The payment provider's list is longer than it may be")


@asynccontextmanager
async def open_stripe(key: str, url: str, home_url: str) -> AsyncIterator[StripeProvider]:
    """Open a client of Stripe, or of the server at `url`, for the life of the process of the market at `home_url`."""
    http: Any = stripe.HTTPXClient(timeout=CALL_TIMEOUT_S)
    addresses: Any = {"base_addresses": {"api": url}} if url else {}
    client = stripe.StripeClient(
        key, stripe_version=API_VERSION, http_client=http, max_network_retries=0, **addresses
    )
    try:
        yield StripeProvider(client, home_url)
    finally:
        await http.close_async()


def _key(kind: str, own_id: UUID) -> Any:  # noqa: ANN401 - the library's options
    return {"idempotency_key": f"mnbara:{kind}:{own_id}"}


async def _ask(call: Coroutine[Any, Any, Any]) -> dict[str, Any]:
    """Return the answer of a call. Raises TemporarilyUnavailable, ProviderRefusedError."""
    try:
        answer: dict[str, Any] = (await call).to_dict()
    except stripe.StripeError as error:
        status = error.http_status
        if status in {400, 402, 404}:
            body: Any = error.json_body or {}
            left = body.get("error", {}).get("payment_intent")
            raise ProviderRefusedError(error.code or "invalid_request", left) from error
        _log.warning("stripe_unavailable", error=type(error).__name__, status=status, code=error.code)
        raise TemporarilyUnavailable(
            "The payment provider is out of reach; try again with the same key", retry_after_s=RETRY_AFTER_S
        ) from error
    return answer
