"""Take a payout back."""

from dataclasses import replace

from handlers.contract import Caller, Event, Outcome, Stores
from handlers.payments.payouts.endings import book_back
from handlers.payments.payouts.views import to_changed, to_payout
from handlers.payments.tools import PaymentTools
from protocols.payments.payouts import CancelPayout
from protocols.payments.provider_refusals import PayoutNotFound, PayoutSent
from protocols.topics import personal_channel
from storage.payments.payouts_postgres import lock_payout, update_payout


async def cancel_payout(command: CancelPayout, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Give the money of a payout that was not sent back to the wallet. Raises PayoutNotFound, PayoutSent."""
    row = await lock_payout(stores.db, command.payout_id)
    if row is None or row.owner_id != caller.id:
        raise PayoutNotFound
    test_money = stores.need(PaymentTools).test_money
    if row.status == "canceled":
        return Outcome(to_payout(row, test_money=test_money))
    if row.status != "created" or row.sending:
        raise PayoutSent(payout_status=row.status)
    await book_back(stores.db, row, now_ms)
    row = replace(row, status="canceled")
    await update_payout(stores.db, row, "", None)
    return Outcome(
        to_payout(row, test_money=test_money),
        events=[Event(personal_channel(caller.id), "payout_changed", to_changed(row))],
    )
