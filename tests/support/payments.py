"""Payments as tests run them: a market with the built-in provider, and what its cardholders and banks do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from handlers.contract import Caller
from handlers.payments.tools import PaymentTools
from protocols.topics import personal_channel
from protocols.values import new_id
from server.domains import DOMAINS
from storage.engines.postgres import open_database
from storage.payments.built_in_provider import BuiltInProvider
from storage.payments.provider import Provider
from tests.support.domains import Market, open_market

SECRET = "whsec_test"


@asynccontextmanager
async def open_payments(
    database: str, redis: Any, provider: Provider | None = None, *, secrets: tuple[str, ...] = (SECRET,)
) -> AsyncIterator[Market]:
    """Open all domains with a provider, the built-in one when none is named."""
    opened = await open_database(database)
    tools = PaymentTools(provider or BuiltInProvider(opened), secrets, test_money=provider is None)
    async with open_market(DOMAINS, database, redis, {PaymentTools: tools}) as market:
        yield market
    await opened.close()


async def settle(market: Market) -> None:
    """Let everything happen that waits: deliveries, events, and the jobs that they ask for."""
    for _ in range(3):
        await market.run_jobs()
        await market.run_timers("process_events")
    await market.run_jobs()


async def go_on(market: Market) -> None:
    """Let the test provider's slow things happen, and everything that follows."""
    await settle(market)
    await market.run_timers("continue_test_object")
    await settle(market)


async def begin(market: Market, who: Caller, amount: int = 5_000, **fields: Any) -> dict[str, Any]:
    """Begin a top-up in euros."""
    money = {"amount": amount, "currency": "EUR"}
    answer: dict[str, Any] = await market.call(
        "payments.create_top_up", who, **{"money": money, "key": str(new_id())} | fields
    )
    return answer


async def confirm(
    market: Market, who: Caller, top_up: dict[str, Any], card: str = "visa", **more: Any
) -> Any:
    """Pay a top-up with a test card; nothing else happens."""
    return await market.call(
        "payments.confirm_test_payment", who, client_secret=top_up["client_secret"], card=card, **more
    )


async def pay(market: Market, who: Caller, amount: int = 5_000, card: str = "visa") -> dict[str, Any]:
    """Bring money in; return the top-up as it is then."""
    top_up = await begin(market, who, amount)
    await confirm(market, who, top_up, card)
    await settle(market)
    return await read(market, who, top_up)


async def read(market: Market, who: Caller, top_up: dict[str, Any]) -> dict[str, Any]:
    """Read a top-up again."""
    answer: dict[str, Any] = await market.call("payments.get_top_up", who, top_up_id=top_up["id"])
    return answer


async def wallet(market: Market, who: Caller) -> dict[str, int]:
    """Return what somebody has in euros: available, pending and owed."""
    items = (await market.call("payments.list_wallets", who))["items"]
    euros = next((each for each in items if each["currency"] == "EUR"), {})
    return {name: euros.get(name, 0) for name in ("available", "pending", "owed")}


async def open_account(market: Market, who: Caller, **fields: Any) -> dict[str, Any]:
    """Make and fill in a payout account."""
    made = await market.call("payments.create_payout_account", who, country="DE", key=str(new_id()))
    await market.call("payments.onboard_test_account", who, **fields)
    await settle(market)
    assert made["test_money"] is True
    return await account_of(market, who)


async def account_of(market: Market, who: Caller) -> dict[str, Any]:
    """Read somebody's payout account."""
    (account,) = (await market.call("payments.list_payout_accounts", who))["items"]
    return dict(account)


async def events_of(market: Market, who: Caller, kind: str) -> list[dict[str, Any]]:
    """Return what somebody was told of a kind, in order."""
    return [event for event in await market.events(personal_channel(who.id)) if event["type"] == kind]


class JobContextOf:
    """What a job's call reaches, for calls that a test makes itself."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def connection(self) -> Any:
        return self._market.database.connection()

    def need(self, kind: type) -> Any:
        return self._market.pipeline._tools[kind]
