"""The routes of the treasury."""

from handlers.contract import Permission, Route
from handlers.payments.treasury.get_treasury import get_treasury
from protocols.payments.commands import GetTreasury, Treasury

ROUTES = (
    Route(
        domain="payments",
        command=GetTreasury,
        reply=Treasury,
        function=get_treasury,
        method="GET",
        path="/v1/admin/treasury",
        permission=Permission.FINANCE,
        cost=10,
    ),
)
