"""Job: have the provider send a payout, or ask what became of it, and book that; safe any number of times."""

from dataclasses import replace
from typing import TypeAlias

import structlog

from handlers.contract import Event, Outcome, Stores
from handlers.domain import Job, JobContext
from handlers.payments.payouts.endings import book_back, book_left
from handlers.payments.payouts.views import to_changed
from handlers.payments.tools import PaymentTools
from protocols.payments.provider import ProviderPayout, ProviderRefusedError
from protocols.topics import personal_channel
from storage.payments.payouts_postgres import (
    PayoutRow,
    lock_payout,
    read_payout,
    start_sending,
    update_payout,
)

Seen: TypeAlias = ProviderPayout | ProviderRefusedError | None

_log = structlog.get_logger()


async def advance_payout(job: Job, context: JobContext) -> Seen:
    """Return the payout as it is now, made when there is none. Raises TemporarilyUnavailable."""
    async with context.connection() as db:
        row = await read_payout(db, job.ref)
        if row is None or row.status in {"canceled", "failed"}:
            return None
        if not row.reference and not await start_sending(db, row.payout_id):
            return None
    provider = context.need(PaymentTools).provider
    try:
        if row.reference:
            return await provider.read_payout(row.reference, row.account)
        if row.sending:  # asked before, and the answer was lost
            found = await provider.find_payout(row.payout_id, row.account, row.created_at_ms)
            if found is not None:
                return found
        return await provider.create_payout(row.payout_id, row.account, row.amount_minor, row.currency)
    except ProviderRefusedError as refused:
        return refused


async def finish_payout(job: Job, seen: Seen, stores: Stores, now_ms: int) -> Outcome:
    """Book that the money left, or came back; also what a bank returned after it had been paid."""
    row = await lock_payout(stores.db, job.ref)
    if row is None or seen is None or row.status in {"canceled", "failed"}:
        return Outcome(None)
    if isinstance(seen, ProviderRefusedError):
        if row.reference:
            raise AssertionError(f"{row.reference} is not to be read: {seen.reason}")
        seen = ProviderPayout(reference="", own_id=row.payout_id, status="failed", failure=seen.reason)
    if seen.own_id != row.payout_id:
        raise AssertionError(f"{seen.reference} is another payout than {row.payout_id}")
    if seen.status == row.status or (row.status == "paid" and seen.status == "sent"):
        return Outcome(None)
    return await _record(row, seen, stores, now_ms)


async def _record(row: PayoutRow, seen: ProviderPayout, stores: Stores, now_ms: int) -> Outcome:
    changed = replace(row, status=seen.status, reference=seen.reference, failure=seen.failure)
    if seen.status == "paid":
        await book_left(stores.db, row, now_ms)
    if seen.status == "failed":
        await book_back(stores.db, row, now_ms)
        _log.warning("payout_failed", payout_id=str(row.payout_id), failure=seen.failure)
    await update_payout(stores.db, changed, seen.entry, now_ms if seen.entry else None)
    return Outcome(
        None, events=[Event(personal_channel(row.owner_id), "payout_changed", to_changed(changed))]
    )
