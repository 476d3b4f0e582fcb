"""Money: what everybody has, what holds have taken of it, and whether the books add up."""

from handlers.contract import Permission, Route
from handlers.domain import Domain, JobKind, Retention, TimerKind, ToolKind
from handlers.payments.commission.routes import ROUTES as COMMISSION_ROUTES
from handlers.payments.escrow.end_escrows import end_escrows
from handlers.payments.escrow.routes import ROUTES as ESCROW_ROUTES
from handlers.payments.exchange import routes as exchange_routes
from handlers.payments.exchange.figures import RATES_FIGURES
from handlers.payments.exchange.refresh_rates import fetch_rates, finish_rates, refresh_rates
from handlers.payments.expire_holds import TIMER, expire_holds
from handlers.payments.list_entries import list_entries
from handlers.payments.list_wallets import list_wallets
from handlers.payments.statements import routes as statement_routes
from handlers.payments.treasury import channels as treasury_channels
from handlers.payments.treasury import routes as treasury_routes
from handlers.payments.treasury.audit_accounts import audit_accounts
from handlers.payments.treasury.check_treasury import check_treasury
from handlers.payments.treasury.figures import TREASURY_FIGURES
from protocols.errors import InvalidInput
from protocols.payments.commands import Entries, ListEntries, ListWallets, Wallets
from protocols.payments.events import PERSONAL_EVENTS
from protocols.payments.facts import FACTS
from storage.payments.escrow import END_ESCROW
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
    *COMMISSION_ROUTES,
    *ESCROW_ROUTES,
    *exchange_routes.ROUTES,
    *statement_routes.ROUTES,
    *treasury_routes.ROUTES,
)

QUOTES_KEPT_MS = 30 * 86_400_000
"""How long a quote can be looked up; what it booked is kept for good."""

DOMAIN = Domain(
    name="payments",
    routes=ROUTES,
    channels=treasury_channels.CHANNELS,
    timers=(
        TimerKind(name=TIMER, handler=expire_holds),
        TimerKind(name=END_ESCROW, handler=end_escrows),
        TimerKind(name="check_treasury", handler=check_treasury, lane="treasury"),
        TimerKind(name="audit_accounts", handler=audit_accounts, lane="treasury"),
        TimerKind(name="refresh_rates", handler=refresh_rates),
    ),
    jobs=(JobKind(name="fetch_rates", run=fetch_rates, finish=finish_rates, at_once_max=1),),
    retention=(Retention(delete=delete_old_quotes, kept_ms=QUOTES_KEPT_MS),),
    loops=(TREASURY_FIGURES, RATES_FIGURES),
    tools=(ToolKind(RatesSource, lambda context: open_rates(context.settings.rates_url)),),
    facts=FACTS,
    personal_events=PERSONAL_EVENTS,
)
