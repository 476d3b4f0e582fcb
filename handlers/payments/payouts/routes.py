"""The routes of payout accounts and payouts."""

from handlers.contract import Permission, Route
from handlers.payments.payouts.cancel_payout import cancel_payout
from handlers.payments.payouts.create_payout_account import complete_payout_account, create_payout_account
from handlers.payments.payouts.get_payout import get_payout
from handlers.payments.payouts.list_payout_accounts import list_payout_accounts
from handlers.payments.payouts.list_payouts import list_payouts
from handlers.payments.payouts.request_payout import request_payout
from protocols.auth.refusals import StepUpRequired
from protocols.errors import InvalidInput, TemporarilyUnavailable
from protocols.payments import payouts as words
from protocols.payments import provider_refusals as refusals
from protocols.payments.refusals import AccountFrozen, InsufficientFunds

ROUTES: tuple[Route, ...] = (
    Route(
        domain="payments",
        command=words.CreatePayoutAccount,
        reply=words.PayoutAccount,
        function=create_payout_account,
        complete=complete_payout_account,
        method="POST",
        path="/v1/payout-accounts",
        permission=Permission.SIGNED_IN,
        cost=10,
        key="required",
        refusals=(InvalidInput, refusals.ProviderRefused, StepUpRequired, TemporarilyUnavailable),
    ),
    Route(
        domain="payments",
        command=words.ListPayoutAccounts,
        reply=words.PayoutAccounts,
        function=list_payout_accounts,
        method="GET",
        path="/v1/payout-accounts",
        permission=Permission.SIGNED_IN,
    ),
    Route(
        domain="payments",
        command=words.RequestPayout,
        reply=words.Payout,
        function=request_payout,
        method="POST",
        path="/v1/payouts",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=10,
        key="required",
        refusals=(
            StepUpRequired,
            refusals.CurrencyNotOffered,
            refusals.AmountOutOfRange,
            refusals.DailyLimitReached,
            refusals.PayoutAccountMissing,
            refusals.PayoutAccountNotActive,
            refusals.DebtUnpaid,
            InsufficientFunds,
            AccountFrozen,
        ),
    ),
    Route(
        domain="payments",
        command=words.ListPayouts,
        reply=words.Payouts,
        function=list_payouts,
        method="GET",
        path="/v1/payouts",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="payments",
        command=words.GetPayout,
        reply=words.Payout,
        function=get_payout,
        method="GET",
        path="/v1/payouts/{payout_id}",
        permission=Permission.SIGNED_IN,
        refusals=(refusals.PayoutNotFound,),
    ),
    Route(
        domain="payments",
        command=words.CancelPayout,
        reply=words.Payout,
        function=cancel_payout,
        method="POST",
        path="/v1/payouts/{payout_id}/cancel",
        permission=Permission.SIGNED_IN,
        refusals=(refusals.PayoutNotFound, refusals.PayoutSent),
    ),
)
