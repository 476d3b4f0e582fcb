"""The route of the reports."""

from handlers.contract import Permission, Route
from handlers.payments.reconciling.list_reconciliations import list_reconciliations
from protocols.errors import InvalidInput
from protocols.payments.reconciliations import ListReconciliations, Reconciliations

ROUTES: tuple[Route, ...] = (
    Route(
        domain="payments",
        command=ListReconciliations,
        reply=Reconciliations,
        function=list_reconciliations,
        method="GET",
        path="/v1/admin/reconciliations",
        permission=Permission.FINANCE,
        cost=5,
        refusals=(InvalidInput,),
    ),
)
