"""Money: what everybody has, what holds have taken of it, and whether the books add up."""

from handlers.contract import Permission, Route
from handlers.domain import Domain, TimerKind
from handlers.payments.commission.routes import ROUTES as COMMISSION_ROUTES
from handlers.payments.escrow.end_escrows import end_escrows
from handlers.payments.escrow.routes import ROUTES as ESCROW_ROUTES
from handlers.payments.expire_holds import TIMER, expire_holds
from handlers.payments.get_treasury import get_treasury
from handlers.payments.list_entries import list_entries
from handlers.payments.list_wallets import list_wallets
from protocols.errors import InvalidInput
from protocols.payments.commands import (
    Entries,
    GetTreasury,
    ListEntries,
    ListWallets,
    Treasury,
    Wallets,
)
from protocols.payments.events import PERSONAL_EVENTS
from protocols.payments.facts import FACTS
from storage.payments.escrow import END_ESCROW

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
    Route(
        domain="payments",
        command=GetTreasury,
        reply=Treasury,
        function=get_treasury,
        method="GET",
        path="/v1/admin/treasury",
        permission=Permission.ADMIN,
        cost=10,
    ),
    *COMMISSION_ROUTES,
    *ESCROW_ROUTES,
)

DOMAIN = Domain(
    name="payments",
    routes=ROUTES,
    timers=(
        TimerKind(name=TIMER, handler=expire_holds),
        TimerKind(name=END_ESCROW, handler=end_escrows),
    ),
    facts=FACTS,
    personal_events=PERSONAL_EVENTS,
)
