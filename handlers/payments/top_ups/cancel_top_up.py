"""Give a top-up up."""

from dataclasses import replace

from handlers.contract import Caller, Event, JobRequest, Outcome, Stores
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.rules import OPEN
from handlers.payments.top_ups.views import to_changed, to_top_up
from protocols.payments.provider_refusals import TopUpEnded, TopUpNotFound
from protocols.payments.top_ups import CancelTopUp
from protocols.topics import personal_channel
from storage.payments.top_ups_postgres import lock_top_up, update_top_up


async def cancel_top_up(command: CancelTopUp, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Cancel a top-up; money that comes in all the same goes back. Raises TopUpNotFound, TopUpEnded."""
    row = await lock_top_up(stores.db, command.top_up_id)
    if row is None or row.owner_id != caller.id:
        raise TopUpNotFound
    test_money = stores.need(PaymentTools).test_money
    if row.status == "canceled":
        return Outcome(to_top_up(row, test_money=test_money))
    if row.status not in OPEN:
        raise TopUpEnded(top_up_status=row.status)
    row = replace(row, status="canceled")
    await update_top_up(stores.db, row)
    return Outcome(
        to_top_up(row, test_money=test_money),
        events=[Event(personal_channel(caller.id), "top_up_changed", to_changed(row))],
        jobs=[JobRequest("payments.advance_top_up", row.top_up_id)],
    )
