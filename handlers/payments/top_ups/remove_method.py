"""Forget a saved card."""

from handlers.contract import Caller, JobRequest, Outcome, Stores
from handlers.domain import Job, JobContext
from handlers.payments.tools import PaymentTools
from protocols.payments.provider_refusals import MethodNotFound
from protocols.payments.top_ups import RemoveMethod
from storage.payments import methods_postgres


async def remove_method(command: RemoveMethod, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Remove the card at once, and have the provider forget it. Raises MethodNotFound."""
    if await methods_postgres.read_method(stores.db, command.method_id, caller.id) is None:
        raise MethodNotFound
    removed = await methods_postgres.remove_method(stores.db, command.method_id, caller.id)
    jobs = [JobRequest("payments.forget_method", command.method_id)] if removed else []
    return Outcome(None, jobs=jobs)


async def forget_method(job: Job, context: JobContext) -> None:
    """Have the provider forget a card that was removed. Raises TemporarilyUnavailable."""
    async with context.connection() as db:
        row = await methods_postgres.find_method(db, job.ref)
    if row is not None and row.reference:
        await context.need(PaymentTools).provider.forget_method(row.reference)


async def finish_forgetting(_job: Job, _result: None, _stores: Stores, _now_ms: int) -> Outcome:
    """Record nothing: the card was removed before."""
    return Outcome(None)
