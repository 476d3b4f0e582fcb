"""The routes of commission rules: for operators."""

from handlers.contract import Permission, Route
from handlers.payments.commission.list_commission_versions import list_commission_versions
from handlers.payments.commission.set_commission import set_commission
from protocols.errors import InvalidInput
from protocols.payments.commission import (
    CommissionVersion,
    CommissionVersions,
    ListCommissionVersions,
    SetCommission,
)

ROUTES = (
    Route(
        domain="payments",
        command=SetCommission,
        reply=CommissionVersion,
        function=set_commission,
        method="POST",
        path="/v1/admin/commission-rules",
        permission=Permission.FINANCE,
        status=201,
        key="required",
        cost=5,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="payments",
        command=ListCommissionVersions,
        reply=CommissionVersions,
        function=list_commission_versions,
        method="GET",
        path="/v1/admin/commission-rules",
        permission=Permission.FINANCE,
        cost=2,
        refusals=(InvalidInput,),
    ),
)
