"""The payment provider of one process, and the secrets that sign its webhooks."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from handlers.contract import Stores
from handlers.domain import ToolContext
from handlers.settings import Settings, SettingsError
from storage.payments.built_in_objects import has_real_money, has_test_money
from storage.payments.built_in_provider import BuiltInProvider
from storage.payments.provider import Provider
from storage.platform.key_files import load_or_create

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PaymentTools:
    """What payments need beside the database."""

    provider: Provider
    webhook_secrets: tuple[str, ...]
    """The first signs what the test provider sends; each is believed."""
    test_money: bool
    """The built-in test provider is in use, and no real money moves."""


def check_payment_settings(settings: Settings) -> None:
    """Refuse a Stripe without the means to hear from it. Raises SettingsError."""
    if settings.stripe_key and not settings.webhook_secrets:
        raise SettingsError(
            "MNBARA_STRIPE_WEBHOOK_SECRET must be set where MNBARA_STRIPE_KEY is: webhooks are believed by it"
        )
    if not settings.stripe_key and (settings.stripe_webhook_secret or settings.stripe_url):
        raise SettingsError(
            "MNBARA_STRIPE_KEY must be set where MNBARA_STRIPE_WEBHOOK_SECRET or MNBARA_STRIPE_URL is"
        )


@asynccontextmanager
async def open_payment_tools(context: ToolContext) -> AsyncIterator[PaymentTools]:
    """Open Stripe where its key is set, else the built-in test provider, with a warning.

    Raises: KeyFileError; SettingsError on a database in which the other one has moved money.
    """
    settings = context.settings
    await _refuse_mixed_money(context)
    if settings.stripe_key:
        from storage.payments.stripe_provider import open_stripe  # its library is loaded where it is used

        async with open_stripe(settings.stripe_key, settings.stripe_url, settings.url) as provider:
            yield PaymentTools(provider, settings.webhook_secrets, test_money=False)
        return
    _log.warning(
        "test_money", reason="MNBARA_STRIPE_KEY is not set: the built-in provider moves no real money"
    )
    secret = load_or_create(settings.secrets_folder / "test_provider.json", _new_secret)["webhook_secret"]
    yield PaymentTools(BuiltInProvider(context.database), (secret,), test_money=True)


async def _refuse_mixed_money(context: ToolContext) -> None:
    """Let nobody spend test money as real, or real money as test."""
    async with context.database.connection() as db:
        if context.settings.stripe_key and await has_test_money(db):
            raise SettingsError(
                "MNBARA_STRIPE_KEY cannot be used on this database: wallets in it have test money; use a new one"
            )
        if not context.settings.stripe_key and await has_real_money(db):
            raise SettingsError(
                "MNBARA_STRIPE_KEY is not set, and this database has payments of Stripe: without it they would be"
                " mixed with test money"
            )


def _new_secret() -> dict[str, Any]:
    return {"webhook_secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()}


async def payments_state(stores: Stores) -> str:
    """Return the provider's part in readiness: `test_money` while no real money moves. Asks nobody."""
    return "test_money" if stores.need(PaymentTools).test_money else "ok"
