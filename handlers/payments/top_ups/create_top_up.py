"""Begin to bring money in.

Killed before the commit, nothing happened. Killed between the commit and the provider's answer, the client repeats with
its key and the provider is asked for the same payment, or the timer `check_top_ups` finds out what became of it.
"""

from handlers.contract import Caller, Completion, Outcome, Stores, Timer
from handlers.domain import Job
from handlers.payments.checks import DAY_MS, UNKNOWN_WAITS_MS
from handlers.payments.limits import check_amount
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.advance_top_up import advance_top_up, finish_top_up
from handlers.payments.top_ups.check_top_ups import CHECK
from handlers.payments.top_ups.views import to_top_up
from protocols.payments.provider import ProviderPayment
from protocols.payments.provider_refusals import MethodNotFound, TopUpNotFound
from protocols.payments.top_ups import CreateTopUp, TopUp
from protocols.values import new_id
from storage.payments.methods_postgres import read_method
from storage.payments.top_ups_postgres import TopUpRow, insert_top_up, lock_owner, read_top_up, sum_since


async def create_top_up(command: CreateTopUp, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Keep a new top-up; the provider is asked after the commit.

    Raises: CurrencyNotOffered, AmountOutOfRange, DailyLimitReached, MethodNotFound.
    """
    money = command.money
    await lock_owner(stores.db, caller.id)
    spent_minor = await sum_since(stores.db, caller.id, money.currency, now_ms - DAY_MS)
    check_amount(money.amount, money.currency, spent_minor)
    if command.method_id is not None:
        method = await read_method(stores.db, command.method_id, caller.id)
        if method is None or method.status != "active":
            raise MethodNotFound
    row = TopUpRow(
        top_up_id=new_id(),
        owner_id=caller.id,
        currency=money.currency,
        amount_minor=money.amount,
        status="created",
        method_id=command.method_id,
        reference="",
        failure="",
        transfer_id=new_id(),
        refunded_minor=0,
        checks=0,
        created_at_ms=now_ms,
    )
    await insert_top_up(stores.db, row)
    return Outcome(
        to_top_up(row, test_money=stores.need(PaymentTools).test_money),
        timers=[Timer(CHECK, row.top_up_id, now_ms + UNKNOWN_WAITS_MS[0])],
    )


async def complete_top_up(reply: TopUp, _caller: Caller, completion: Completion) -> TopUp:
    """Ask the provider for the payment, and return the top-up with what confirms it.

    Raises: TemporarilyUnavailable; a repeat with the same key asks again.
    """
    job = Job(job_id=reply.id, ref=reply.id, attempt=1)
    seen = await advance_top_up(job, completion)

    async def finish(stores: Stores, now_ms: int) -> list[Outcome]:
        return [await finish_top_up(job, seen, stores, now_ms)]

    await completion.commit(finish)
    async with completion.connection() as db:
        row = await read_top_up(db, reply.id)
    if row is None:
        raise TopUpNotFound
    secret = seen.client_secret if isinstance(seen, ProviderPayment) else ""
    return to_top_up(row, test_money=reply.test_money, client_secret=secret)
