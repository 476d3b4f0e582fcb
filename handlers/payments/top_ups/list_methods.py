"""Read one's saved cards."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.views import to_method
from protocols.payments.top_ups import ListMethods, Methods
from storage.payments import methods_postgres


async def list_methods(_command: ListMethods, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the caller's saved cards, newest first."""
    test_money = stores.need(PaymentTools).test_money
    rows = await methods_postgres.list_methods(stores.db, caller.id)
    return Outcome(Methods(items=[to_method(row, test_money=test_money) for row in rows]))
