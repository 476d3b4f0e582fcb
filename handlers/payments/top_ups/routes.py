"""The routes of top-ups, saved cards and refunds."""

from handlers.contract import Permission, Route
from handlers.payments.top_ups.add_method import add_method, complete_method
from handlers.payments.top_ups.cancel_top_up import cancel_top_up
from handlers.payments.top_ups.create_top_up import complete_top_up, create_top_up
from handlers.payments.top_ups.get_top_up import get_top_up
from handlers.payments.top_ups.list_methods import list_methods
from handlers.payments.top_ups.list_top_ups import list_top_ups
from handlers.payments.top_ups.refund_top_up import refund_top_up
from handlers.payments.top_ups.remove_method import remove_method
from protocols.errors import InvalidInput, TemporarilyUnavailable
from protocols.payments import provider_refusals as refusals
from protocols.payments import top_ups as words
from protocols.payments.refusals import AccountFrozen, InsufficientFunds

ROUTES: tuple[Route, ...] = (
    Route(
        domain="payments",
        command=words.CreateTopUp,
        reply=words.TopUp,
        function=create_top_up,
        complete=complete_top_up,
        method="POST",
        path="/v1/top-ups",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=10,
        key="required",
        refusals=(
            refusals.CurrencyNotOffered,
            refusals.AmountOutOfRange,
            refusals.DailyLimitReached,
            refusals.MethodNotFound,
            TemporarilyUnavailable,
        ),
    ),
    Route(
        domain="payments",
        command=words.ListTopUps,
        reply=words.TopUps,
        function=list_top_ups,
        method="GET",
        path="/v1/top-ups",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="payments",
        command=words.GetTopUp,
        reply=words.TopUp,
        function=get_top_up,
        method="GET",
        path="/v1/top-ups/{top_up_id}",
        permission=Permission.SIGNED_IN,
        refusals=(refusals.TopUpNotFound,),
    ),
    Route(
        domain="payments",
        command=words.CancelTopUp,
        reply=words.TopUp,
        function=cancel_top_up,
        method="POST",
        path="/v1/top-ups/{top_up_id}/cancel",
        permission=Permission.SIGNED_IN,
        refusals=(refusals.TopUpNotFound, refusals.TopUpEnded),
    ),
    Route(
        domain="payments",
        command=words.RefundTopUp,
        reply=words.TopUpRefund,
        function=refund_top_up,
        method="POST",
        path="/v1/top-ups/{top_up_id}/refunds",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=5,
        key="required",
        refusals=(
            refusals.TopUpNotFound,
            refusals.TopUpNotRefundable,
            refusals.RefundTooLarge,
            InsufficientFunds,
            AccountFrozen,
        ),
    ),
    Route(
        domain="payments",
        command=words.ListMethods,
        reply=words.Methods,
        function=list_methods,
        method="GET",
        path="/v1/payment-methods",
        permission=Permission.SIGNED_IN,
    ),
    Route(
        domain="payments",
        command=words.AddMethod,
        reply=words.Method,
        function=add_method,
        complete=complete_method,
        method="POST",
        path="/v1/payment-methods",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=10,
        key="required",
        refusals=(InvalidInput, refusals.TooManyMethods, refusals.ProviderRefused, TemporarilyUnavailable),
    ),
    Route(
        domain="payments",
        command=words.RemoveMethod,
        reply=None,
        function=remove_method,
        method="DELETE",
        path="/v1/payment-methods/{method_id}",
        permission=Permission.SIGNED_IN,
        status=204,
        refusals=(refusals.MethodNotFound,),
    ),
)
