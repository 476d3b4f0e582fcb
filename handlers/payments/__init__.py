"""Money: what everybody has, what holds have taken of it, and whether the books add up."""

from contextlib import AbstractAsyncContextManager

from handlers.contract import Permission, Route
from handlers.domain import Domain, JobKind, Retention, TimerKind, ToolContext, ToolKind
from handlers.payments.exchange import figures as exchange_figures
from handlers.payments.exchange import routes as exchange_routes
from handlers.payments.exchange.refresh_rates import fetch_rates, finish_rates, refresh_rates
from handlers.payments.expire_holds import TIMER, expire_holds
from handlers.payments.list_entries import list_entries
from handlers.payments.list_wallets import list_wallets
from handlers.payments.statements import routes as statement_routes
from handlers.payments.treasury import channels as treasury_channels
from handlers.payments.treasury import routes as treasury_routes
from handlers.payments.treasury.audit_accounts import audit_accounts
from handlers.payments.treasury.check_treasury import check_treasury
from handlers.payments.treasury.figures import FIGURES
from protocols.errors import InvalidInput
from protocols.payments.commands import Entries, ListEntries, ListWallets, Wallets
from storage.payments.exchange_postgres import delete_old_quotes
from storage.payments.rates_sources import RatesSource, open_rates

ROUTES: tuple[Route, ...] = (
    Route(
        domain="payments",
        command=ListWallets,
        reply=Wallets,
        function=list_wallets,
        method="GET",
        path="/v1/wallets",
        permission=Permission.SIGNED_IN,
    ),
    Route(
        domain="payments",
        command=ListEntries,
        reply=Entries,
        function=list_entries,
        method="GET",
        path="/v1/wallets/{currency}/entries",
        permission=Permission.SIGNED_IN,
        refusals=(InvalidInput,),
    ),
    *exchange_routes.ROUTES,
    *statement_routes.ROUTES,
    *treasury_routes.ROUTES,
)

QUOTES_KEPT_MS = 30 * 86_400_000
"""How long a quote can be looked up; what it booked is kept for good."""


def _open_rates(context: ToolContext) -> AbstractAsyncContextManager[RatesSource]:
    settings = context.settings
    return open_rates(settings.rates_url, is_public=settings.public_url.startswith("https://"))


DOMAIN = Domain(
    name="payments",
    routes=ROUTES,
    channels=treasury_channels.CHANNELS,
    timers=(
        TimerKind(name=TIMER, handler=expire_holds),
        TimerKind(name="check_treasury", handler=check_treasury, lane="treasury"),
        TimerKind(name="audit_accounts", handler=audit_accounts, lane="treasury"),
        TimerKind(name="refresh_rates", handler=refresh_rates),
    ),
    jobs=(JobKind(name="fetch_rates", run=fetch_rates, finish=finish_rates, at_once_max=1),),
    retention=(Retention(delete=delete_old_quotes, kept_ms=QUOTES_KEPT_MS),),
    figures=(FIGURES, exchange_figures.FIGURES),
    tools=(ToolKind(RatesSource, _open_rates),),
)
