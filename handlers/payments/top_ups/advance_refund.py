"""Job: have the provider send money back to a card, and book what became of it; safe any number of times."""

from dataclasses import replace
from typing import TypeAlias
from uuid import UUID

import structlog

from handlers.contract import Event, Outcome, Stores
from handlers.domain import Job, JobContext
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.views import to_changed
from protocols.payments.postings import PLATFORM, Account, Transfer
from protocols.payments.provider import ProviderRefund, ProviderRefusedError
from protocols.topics import personal_channel
from storage.payments.posting import post
from storage.payments.refunds_postgres import RefundRow, lock_refund, read_refund, update_refund
from storage.payments.top_ups_postgres import lock_top_up, update_top_up

Seen: TypeAlias = ProviderRefund | ProviderRefusedError | None

_log = structlog.get_logger()


async def advance_refund(job: Job, context: JobContext) -> Seen:
    """Return the refund as it is now, made when there is none. Raises TemporarilyUnavailable."""
    async with context.connection() as db:
        row = await read_refund(db, job.ref)
    if row is None or row.status == "failed":
        return None
    provider = context.need(PaymentTools).provider
    try:
        if row.reference:
            return await provider.read_refund(row.reference)
        found = await provider.find_refund(row.refund_id, row.payment)
        return found or await provider.create_refund(row.refund_id, row.payment, row.amount_minor)
    except ProviderRefusedError as refused:
        return refused


async def finish_refund(job: Job, seen: Seen, stores: Stores, now_ms: int) -> Outcome:
    """Book that the money left, or that it came back; also one that came back after it had left."""
    known = await read_refund(stores.db, job.ref)
    if known is not None:
        await lock_top_up(stores.db, known.top_up_id)  # before the refund, as who asks for one
    row = await lock_refund(stores.db, job.ref)
    if row is None or seen is None or row.status == "failed":
        return Outcome(None)
    if isinstance(seen, ProviderRefusedError):
        if row.reference:
            raise AssertionError(f"{row.reference} is not to be read: {seen.reason}")
        seen = ProviderRefund(reference="", own_id=row.refund_id, status="failed", failure=seen.reason)
    if seen.own_id != row.refund_id:
        raise AssertionError(f"{seen.reference} is another refund than {row.refund_id}")
    if seen.status == row.status:
        return Outcome(None)
    if seen.status == "failed":
        return await _return(row, seen, stores, now_ms)
    if row.status == "succeeded":
        return Outcome(None)  # what was seen is old
    if seen.status == "succeeded":
        left = _move(row, row.end_id, "payable", "external")
        (refusal,) = await post(stores.db, [[left]], now_ms)
        assert refusal is None, "what was taken is there"
    booked_at_ms = now_ms if seen.status == "succeeded" else None
    await update_refund(stores.db, row.refund_id, seen.status, seen.reference, seen.failure, booked_at_ms)
    return Outcome(None)


async def _return(row: RefundRow, seen: ProviderRefund, stores: Stores, now_ms: int) -> Outcome:
    """Give the money to its owner's wallet: the card took it not, or not for good."""
    source = "external" if row.status == "succeeded" else "payable"
    back = _move(row, row.refund_id, source, "available")
    (refusal,) = await post(stores.db, [[back]], now_ms)
    assert refusal is None, "what was taken is there"
    await update_refund(
        stores.db, row.refund_id, "failed", seen.reference or row.reference, seen.failure, None
    )
    _log.warning("refund_failed", refund_id=str(row.refund_id), failure=seen.failure)
    top_up = await lock_top_up(stores.db, row.top_up_id)
    assert top_up is not None, "a refund is of a top-up"
    changed = replace(
        top_up,
        refunded_minor=top_up.refunded_minor - row.amount_minor,
        status="succeeded",
        failure="refund_failed",
    )
    await update_top_up(stores.db, changed)
    return Outcome(
        None, events=[Event(personal_channel(row.owner_id), "top_up_changed", to_changed(changed))]
    )


def _move(row: RefundRow, transfer_id: UUID, source: str, target: str) -> Transfer:
    def account(purpose: str) -> Account:
        owner_id = PLATFORM if purpose == "external" else row.owner_id
        return Account(owner_id, row.currency, purpose)  # type: ignore[arg-type]  # purposes of this file

    return Transfer(
        transfer_id=transfer_id,
        debit=account(source),
        credit=account(target),
        amount_minor=row.amount_minor,
        reason="refund" if target == "external" else "refund_returned",
        ref=row.top_up_id,
    )
