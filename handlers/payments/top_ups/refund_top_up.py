"""Send money of a top-up back to its card."""

from dataclasses import replace

from handlers.contract import Caller, Event, JobRequest, Outcome, Stores, Timer
from handlers.payments.checks import UNKNOWN_WAITS_MS
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.views import to_changed, to_refund
from protocols.payments.postings import Account, Transfer
from protocols.payments.provider_refusals import RefundTooLarge, TopUpNotFound, TopUpNotRefundable
from protocols.payments.top_ups import RefundTopUp
from protocols.topics import personal_channel
from protocols.values import new_id
from storage.payments.disputes_postgres import is_disputed
from storage.payments.posting import post
from storage.payments.refunds_postgres import RefundRow, insert_refund
from storage.payments.top_ups_postgres import lock_top_up, update_top_up


async def refund_top_up(command: RefundTopUp, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Take unspent money off the wallet and have it sent back.

    Raises: TopUpNotFound, TopUpNotRefundable, RefundTooLarge, InsufficientFunds, AccountFrozen.
    """
    row = await lock_top_up(stores.db, command.top_up_id)
    if row is None or row.owner_id != caller.id:
        raise TopUpNotFound
    if row.status != "succeeded" or await is_disputed(stores.db, row.top_up_id):
        raise TopUpNotRefundable(top_up_status=row.status)
    if command.amount > row.amount_minor - row.refunded_minor:
        raise RefundTooLarge(left=row.amount_minor - row.refunded_minor, currency=row.currency)
    refund = RefundRow(
        refund_id=new_id(),
        top_up_id=row.top_up_id,
        owner_id=caller.id,
        currency=row.currency,
        amount_minor=command.amount,
        status="created",
        reference="",
        take_id=new_id(),
        end_id=new_id(),
        checks=0,
        created_at_ms=now_ms,
        payment=row.reference,
    )
    assert refund.take_id is not None, "it was made above"
    taken = Transfer(
        transfer_id=refund.take_id,
        debit=Account(caller.id, row.currency, "available"),
        credit=Account(caller.id, row.currency, "payable"),
        amount_minor=command.amount,
        reason="refund",
        ref=row.top_up_id,
    )
    (refusal,) = await post(stores.db, [[taken]], now_ms)
    if refusal is not None:
        raise refusal
    await insert_refund(stores.db, refund)
    refunded_minor = row.refunded_minor + command.amount
    row = replace(
        row,
        refunded_minor=refunded_minor,
        status="refunded" if refunded_minor == row.amount_minor else row.status,
    )
    await update_top_up(stores.db, row)
    return Outcome(
        to_refund(refund, test_money=stores.need(PaymentTools).test_money),
        events=[Event(personal_channel(caller.id), "top_up_changed", to_changed(row))],
        jobs=[JobRequest("payments.advance_refund", refund.refund_id)],
        timers=[Timer("check_refunds", refund.refund_id, now_ms + UNKNOWN_WAITS_MS[0])],
    )
