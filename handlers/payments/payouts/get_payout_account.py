"""Read one's payout account."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.payouts.views import to_account
from handlers.payments.tools import PaymentTools
from protocols.payments.payouts import GetPayoutAccount
from protocols.payments.provider_refusals import PayoutAccountNotFound
from storage.payments.payouts_postgres import read_own_account


async def get_payout_account(
    _command: GetPayoutAccount, caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Return the caller's payout account. Raises PayoutAccountNotFound."""
    row = await read_own_account(stores.db, caller.id)
    if row is None:
        raise PayoutAccountNotFound
    return Outcome(to_account(row, test_money=stores.need(PaymentTools).test_money))
