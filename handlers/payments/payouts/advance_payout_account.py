"""Job: ask the provider what a payout account is now, made when there is none; safe any number of times."""

from handlers.contract import Event, Outcome, Stores
from handlers.domain import Job, JobContext
from handlers.payments.tools import PaymentTools
from protocols.payments.payouts import PayoutAccountChanged
from protocols.payments.provider import ProviderAccount
from protocols.topics import personal_channel
from storage.payments.payouts_postgres import lock_account, read_account_row, update_account


async def advance_payout_account(job: Job, context: JobContext) -> ProviderAccount | None:
    """Return the account as it is now. Raises TemporarilyUnavailable, ProviderRefusedError."""
    async with context.connection() as db:
        row = await read_account_row(db, job.ref)
    if row is None:
        return None
    provider = context.need(PaymentTools).provider
    if row.reference:
        return await provider.read_account(row.reference)
    return await provider.create_account(row.account_id, row.country)


async def finish_payout_account(
    job: Job, seen: ProviderAccount | None, stores: Stores, _now_ms: int
) -> Outcome:
    """Record the provider's name of the account, and its status; tell the owner of a new one."""
    row = await lock_account(stores.db, job.ref)
    if row is None or seen is None:
        return Outcome(None)
    if seen.own_id != row.account_id or row.reference not in {"", seen.reference}:
        raise AssertionError(f"{seen.reference} is another account than {row.account_id}")
    await update_account(stores.db, row.account_id, seen.status, seen.reference)
    if seen.status == row.status:
        return Outcome(None)
    changed = PayoutAccountChanged(status=seen.status)
    return Outcome(None, events=[Event(personal_channel(row.owner_id), "payout_account_changed", changed)])
