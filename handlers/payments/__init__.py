"""Money: what everybody has, what holds have taken of it, and whether the books add up."""

from contextlib import AbstractAsyncContextManager

from handlers.contract import Permission, Route
from handlers.domain import Domain, JobKind, PartKind, Retention, TimerKind, ToolContext, ToolKind
from handlers.payments.built_in import routes as built_in_routes
from handlers.payments.built_in.continue_test_object import continue_test_object
from handlers.payments.built_in.deliver_test_event import deliver_test_event, finish_delivery
from handlers.payments.commission.routes import ROUTES as COMMISSION_ROUTES
from handlers.payments.debts import COLLECT, collect_debts
from handlers.payments.escrow.end_escrows import end_escrows
from handlers.payments.escrow.routes import ROUTES as ESCROW_ROUTES
from handlers.payments.exchange import routes as exchange_routes
from handlers.payments.exchange.figures import RATES_FIGURES
from handlers.payments.exchange.refresh_rates import fetch_rates, finish_rates, refresh_rates
from handlers.payments.expire_holds import TIMER, expire_holds
from handlers.payments.list_entries import list_entries
from handlers.payments.list_wallets import list_wallets
from handlers.payments.payouts import routes as payout_routes
from handlers.payments.payouts.advance_payout import advance_payout, finish_payout
from handlers.payments.payouts.advance_payout_account import advance_payout_account, finish_payout_account
from handlers.payments.payouts.check_payouts import check_payouts
from handlers.payments.reconciling import routes as reconciling_routes
from handlers.payments.reconciling.figures import MONEY_FIGURES
from handlers.payments.reconciling.reconcile import finish_reconciling, reconcile, reconcile_days
from handlers.payments.statements import routes as statement_routes
from handlers.payments.tools import PaymentTools, check_payment_settings, open_payment_tools, payments_state
from handlers.payments.top_ups import routes as top_up_routes
from handlers.payments.top_ups.advance_dispute import advance_dispute, finish_dispute
from handlers.payments.top_ups.advance_refund import advance_refund, finish_refund
from handlers.payments.top_ups.advance_top_up import advance_top_up, finish_top_up
from handlers.payments.top_ups.check_refunds import check_refunds
from handlers.payments.top_ups.check_top_ups import CHECK, check_top_ups
from handlers.payments.top_ups.remove_method import finish_forgetting, forget_method
from handlers.payments.treasury import channels as treasury_channels
from handlers.payments.treasury import routes as treasury_routes
from handlers.payments.treasury.audit_accounts import audit_accounts
from handlers.payments.treasury.check_treasury import check_treasury
from handlers.payments.treasury.figures import TREASURY_FIGURES
from handlers.payments.webhooks import routes as webhook_routes
from handlers.payments.webhooks.process_events import process_events
from protocols.errors import InvalidInput
from protocols.payments.commands import Entries, ListEntries, ListWallets, Wallets
from protocols.payments.events import PERSONAL_EVENTS
from protocols.payments.facts import FACTS
from storage.payments.built_in_objects import CONTINUE
from storage.payments.escrow import END_ESCROW
from storage.payments.exchange_postgres import delete_old_quotes
from storage.payments.provider_events_postgres import delete_old_events
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

EVENTS_KEPT_MS = 90 * 86_400_000
"""How long an event of the provider is known to have come; it repeats one for three days."""

QUOTES_KEPT_MS = 30 * 86_400_000
"""How long a quote can be looked up; what it booked is kept for good."""


def _open_rates(context: ToolContext) -> AbstractAsyncContextManager[RatesSource]:
    settings = context.settings
    return open_rates(settings.rates_url, is_public=settings.public_url.startswith("https://"))


DOMAIN = Domain(
    name="payments",
    routes=(
        *ROUTES,
        *top_up_routes.ROUTES,
        *payout_routes.ROUTES,
        *webhook_routes.ROUTES,
        *built_in_routes.ROUTES,
        *reconciling_routes.ROUTES,
    ),
    channels=treasury_channels.CHANNELS,
    timers=(
        TimerKind(name=TIMER, handler=expire_holds),
        TimerKind(name=END_ESCROW, handler=end_escrows),
        TimerKind(name="check_treasury", handler=check_treasury, lane="treasury"),
        TimerKind(name="audit_accounts", handler=audit_accounts, lane="treasury"),
        TimerKind(name="refresh_rates", handler=refresh_rates),
        TimerKind(name=COLLECT, handler=collect_debts),
        TimerKind(name=CHECK, handler=check_top_ups),
        TimerKind(name="check_refunds", handler=check_refunds),
        TimerKind(name="check_payouts", handler=check_payouts),
        TimerKind(name="process_events", handler=process_events),
        TimerKind(name=CONTINUE, handler=continue_test_object),
        TimerKind(name="reconcile_days", handler=reconcile_days),
    ),
    jobs=(
        JobKind(name="fetch_rates", run=fetch_rates, finish=finish_rates, at_once_max=1),
        JobKind(name="advance_top_up", run=advance_top_up, finish=finish_top_up),
        JobKind(name="advance_refund", run=advance_refund, finish=finish_refund),
        JobKind(name="advance_dispute", run=advance_dispute, finish=finish_dispute),
        JobKind(name="advance_payout", run=advance_payout, finish=finish_payout),
        JobKind(name="advance_payout_account", run=advance_payout_account, finish=finish_payout_account),
        JobKind(name="forget_method", run=forget_method, finish=finish_forgetting),
        JobKind(name="reconcile", run=reconcile, finish=finish_reconciling, timeout_s=600.0, at_once_max=1),
        JobKind(name="deliver_test_event", run=deliver_test_event, finish=finish_delivery),
    ),
    retention=(
        Retention(delete=delete_old_quotes, kept_ms=QUOTES_KEPT_MS),
        Retention(delete=delete_old_events, kept_ms=EVENTS_KEPT_MS),
    ),
    loops=(TREASURY_FIGURES, RATES_FIGURES, MONEY_FIGURES),
    parts=(PartKind(name="payments", state=payments_state),),
    tools=(
        ToolKind(RatesSource, _open_rates),
        ToolKind(PaymentTools, open_payment_tools, check_payment_settings),
    ),
    facts=FACTS,
    personal_events=PERSONAL_EVENTS,
)
