"""Read a top-up."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.views import to_top_up
from protocols.payments.provider_refusals import TopUpNotFound
from protocols.payments.top_ups import GetTopUp
from storage.payments.top_ups_postgres import read_top_up


async def get_top_up(command: GetTopUp, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a top-up of the caller's. Raises TopUpNotFound."""
    row = await read_top_up(stores.db, command.top_up_id)
    if row is None or row.owner_id != caller.id:
        raise TopUpNotFound
    return Outcome(to_top_up(row, test_money=stores.need(PaymentTools).test_money))
