"""Read one's payout accounts."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.payouts.views import to_account
from handlers.payments.tools import PaymentTools
from protocols.payments.payouts import ListPayoutAccounts, PayoutAccounts
from storage.payments.payouts_postgres import read_own_account


async def list_payout_accounts(
    _command: ListPayoutAccounts, caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Return the caller's payout account, if there is one."""
    row = await read_own_account(stores.db, caller.id)
    test_money = stores.need(PaymentTools).test_money
    return Outcome(PayoutAccounts(items=[] if row is None else [to_account(row, test_money=test_money)]))
