"""Read a payout."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.payouts.views import to_payout
from handlers.payments.tools import PaymentTools
from protocols.payments.payouts import GetPayout
from protocols.payments.provider_refusals import PayoutNotFound
from storage.payments.payouts_postgres import read_payout


async def get_payout(command: GetPayout, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a payout of the caller's. Raises PayoutNotFound."""
    row = await read_payout(stores.db, command.payout_id)
    if row is None or row.owner_id != caller.id:
        raise PayoutNotFound
    return Outcome(to_payout(row, test_money=stores.need(PaymentTools).test_money))
