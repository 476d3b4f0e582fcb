"""Job: ask the provider what a top-up's payment is now, making or ending it where that is due, and book what it says.

It may run at any time and any number of times: the call depends on the row alone, the provider knows repeated calls by
our id, and what it answers is booked under ids that the row holds. Webhooks, clients and timers all only ask for it.
"""

from dataclasses import replace
from typing import TypeAlias

import structlog

from handlers.contract import Event, JobRequest, Outcome, Stores, Timer
from handlers.domain import Job, JobContext
from handlers.payments.checks import UNKNOWN_WAITS_MS
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.rules import observe
from handlers.payments.top_ups.views import to_changed
from protocols.payments.postings import PLATFORM, Account, Transfer
from protocols.payments.provider import ProviderPayment, ProviderRefusedError
from protocols.topics import personal_channel
from protocols.values import new_id, now_instant
from storage.engines.postgres import Connection
from storage.payments.methods_postgres import find_method
from storage.payments.posting import post
from storage.payments.provider import Provider
from storage.payments.refunds_postgres import RefundRow, insert_refund
from storage.payments.top_ups_postgres import (
    TopUpRow,
    lock_top_up,
    note_booked,
    note_payment,
    read_customer,
    read_top_up,
    update_top_up,
)

ADVANCE = "payments.advance_top_up"

FRESH_MS = 10_000
"""Younger top-ups have had no call that was lost; for older ones the provider is asked first whether it has them."""

ABANDONED_MS = 240_000
"""A top-up that no payment was made for by then is not begun any more: its client has gone."""

Seen: TypeAlias = ProviderPayment | ProviderRefusedError | None
"""None: the provider has no payment of this top-up, and will have none."""

_log = structlog.get_logger()


class PaymentDiffersError(Exception):
    """The provider's payment is not what the top-up says; nothing is booked, and a person has to look."""


async def advance_top_up(job: Job, context: JobContext) -> Seen:
    """Return the payment as it is now. Raises TemporarilyUnavailable."""
    async with context.connection() as db:
        row = await read_top_up(db, job.ref)
        if row is None:
            return None
        customer = await read_customer(db, row.owner_id)
        method = None if row.method_id is None else await find_method(db, row.method_id)
    provider = context.need(PaymentTools).provider
    try:
        if row.reference:
            if row.status == "canceled":
                return await provider.cancel_payment(row.reference)
            return await provider.read_payment(row.reference)
        return await _begin(provider, row, job, customer, "" if method is None else method.reference)
    except ProviderRefusedError as refused:
        return refused


async def _begin(provider: Provider, row: TopUpRow, job: Job, customer: str, method: str) -> Seen:
    """Return the payment of a top-up that we know none of: found, or made."""
    age_ms = now_instant() - row.created_at_ms
    if age_ms > FRESH_MS or job.attempt > 1 or row.status != "created":
        found = await provider.find_payment(row.top_up_id, row.created_at_ms)
        if found is not None and row.status == "canceled":
            return await provider.cancel_payment(found.reference)
        if found is not None or row.status != "created" or age_ms > ABANDONED_MS:
            return found
    return await provider.create_payment(row.top_up_id, row.amount_minor, row.currency, customer, method)


async def finish_top_up(job: Job, seen: Seen, stores: Stores, now_ms: int) -> Outcome:
    """Record what was seen: the status, the money once, and what its owner is told. Raises PaymentDiffersError."""
    row = await lock_top_up(stores.db, job.ref)
    if row is None:
        return Outcome(None)
    if isinstance(seen, ProviderPayment):
        return await _record(row, seen, stores, now_ms)
    if row.reference:
        if isinstance(seen, ProviderRefusedError):
            raise PaymentDiffersError(f"{row.reference} is not to be read: {seen.reason}")
        return Outcome(None)  # somebody learned of the payment since
    if row.status != "created":
        return Outcome(None)
    reason = seen.reason if isinstance(seen, ProviderRefusedError) else "abandoned"
    changed = replace(row, status="canceled" if seen is None else "failed", failure=reason)
    return await _change(stores.db, row, changed)


async def _record(row: TopUpRow, seen: ProviderPayment, stores: Stores, now_ms: int) -> Outcome:
    if (seen.own_id, seen.amount_minor, seen.currency) != (row.top_up_id, row.amount_minor, row.currency) or (
        row.reference not in {"", seen.reference}
    ):
        raise PaymentDiffersError(f"{seen.reference} is another payment than that of {row.top_up_id}")
    await note_payment(stores.db, row.top_up_id, seen.reference, seen.entry)
    decision = observe(row.status, seen.status)
    changed = replace(row, status=decision.status, reference=seen.reference, failure=seen.failure)
    if decision.is_paid:
        await _book(row, "available", stores.db, now_ms)
    elif decision.is_late and not row.refunded_minor:
        return await _give_back(row, changed, stores, now_ms)
    return await _change(stores.db, row, changed)


async def _book(row: TopUpRow, purpose: str, db: Connection, now_ms: int) -> None:
    came_in = Transfer(
        transfer_id=row.transfer_id,
        debit=Account(PLATFORM, row.currency, "external"),
        credit=Account(row.owner_id, row.currency, purpose),  # type: ignore[arg-type]  # two of the purposes
        amount_minor=row.amount_minor,
        reason="top_up",
        ref=row.top_up_id,
    )
    (refusal,) = await post(db, [[came_in]], now_ms)
    if refusal is not None:
        raise PaymentDiffersError(f"the money of {row.top_up_id} cannot be booked: {refusal.code}")
    await note_booked(db, row.top_up_id, now_ms)


async def _give_back(row: TopUpRow, changed: TopUpRow, stores: Stores, now_ms: int) -> Outcome:
    """Send the money of a top-up that was given up back to its card; its owner never has it."""
    await _book(row, "payable", stores.db, now_ms)
    refund = RefundRow(
        refund_id=new_id(),
        top_up_id=row.top_up_id,
        owner_id=row.owner_id,
        currency=row.currency,
        amount_minor=row.amount_minor,
        status="created",
        reference="",
        take_id=None,
        end_id=new_id(),
        checks=0,
        created_at_ms=now_ms,
        payment=row.reference,
    )
    await insert_refund(stores.db, refund)
    outcome = await _change(stores.db, row, replace(changed, refunded_minor=row.amount_minor))
    return Outcome(
        None,
        events=outcome.events,
        jobs=[JobRequest("payments.advance_refund", refund.refund_id)],
        timers=[Timer("check_refunds", refund.refund_id, now_ms + UNKNOWN_WAITS_MS[0])],
    )


async def _change(db: Connection, before: TopUpRow, after: TopUpRow) -> Outcome:
    """Write a locked top-up; its owner is told when anything of it changed."""
    if replace(before, reference=after.reference) == after:
        return Outcome(None)
    await update_top_up(db, after)
    _log.info("top_up_changed", top_up_id=str(after.top_up_id), status=after.status, failure=after.failure)
    return Outcome(
        None, events=[Event(personal_channel(after.owner_id), "top_up_changed", to_changed(after))]
    )
