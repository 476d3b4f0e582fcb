"""Job: read a cardholder's dispute, and book what it takes or brings back; safe at any time, any number of times."""

from handlers.contract import Event, Outcome, Stores, Timer
from handlers.domain import Job, JobContext
from handlers.payments.debts import COLLECT_AGAIN_MS
from handlers.payments.tools import PaymentTools
from protocols.payments.postings import PLATFORM, Account, Transfer
from protocols.payments.provider import ProviderDispute
from protocols.payments.top_ups import DisputeClosed, TopUpDisputed
from protocols.topics import personal_channel
from protocols.values import Money
from storage.payments.accounts_postgres import lock_accounts
from storage.payments.disputes_postgres import DisputeRow, lock_dispute, read_dispute, update_dispute
from storage.payments.posting import post
from storage.payments.top_ups_postgres import TopUpRow, read_top_up


async def advance_dispute(job: Job, context: JobContext) -> ProviderDispute | None:
    """Return the dispute as it is now. Raises TemporarilyUnavailable, ProviderRefusedError."""
    async with context.connection() as db:
        row = await read_dispute(db, job.ref)
    if row is None:
        return None
    return await context.need(PaymentTools).provider.read_dispute(row.reference)


async def finish_dispute(job: Job, seen: ProviderDispute | None, stores: Stores, now_ms: int) -> Outcome:
    """Take the money once, and give it back once when the dispute was won."""
    row = await lock_dispute(stores.db, job.ref)
    if row is None or seen is None or seen.status == "inquiry" or row.status in {"won", "lost", seen.status}:
        return Outcome(None)
    top_up = await read_top_up(stores.db, row.top_up_id)
    assert top_up is not None, "a dispute is of a top-up"
    if (seen.payment, seen.currency) != (top_up.reference, top_up.currency):
        raise AssertionError(f"{seen.reference} is of another payment than {top_up.reference}")
    events, timers = [], []
    channel, money = personal_channel(top_up.owner_id), Money(seen.amount_minor, seen.currency)
    if row.status == "created" and seen.status != "won":
        owed_minor = await _take(row, top_up, seen.amount_minor, stores, now_ms)
        told = TopUpDisputed(top_up_id=top_up.top_up_id, money=money, owed=owed_minor)
        events.append(Event(channel, "top_up_disputed", told))
        if owed_minor:
            timers.append(Timer("collect_debts", top_up.owner_id, now_ms + COLLECT_AGAIN_MS))
    if row.status == "open" and seen.status == "won":
        await _return(row, top_up, stores, now_ms)
    if seen.status != "open":
        closed = DisputeClosed(top_up_id=top_up.top_up_id, money=money, outcome=seen.status)
        events.append(Event(channel, "dispute_closed", closed))
    taken_at_ms = None if row.status == "created" and seen.status == "won" else now_ms
    await update_dispute(stores.db, row.dispute_id, seen.status, seen.amount_minor, taken_at_ms)
    return Outcome(None, events=events, timers=timers)


async def _take(row: DisputeRow, top_up: TopUpRow, amount_minor: int, stores: Stores, now_ms: int) -> int:
    """Take the money from the wallet; what is not there, or is frozen, becomes a debt, which is returned."""
    outside = Account(PLATFORM, top_up.currency, "external")
    spendable = Account(top_up.owner_id, top_up.currency, "available")
    owed = Account(top_up.owner_id, top_up.currency, "receivable")
    accounts = await lock_accounts(stores.db, (outside, spendable, owed))
    there = accounts[spendable]
    taken_minor = 0 if there.frozen else min(amount_minor, there.balance_minor)
    chain = [
        Transfer(
            transfer_id=transfer_id,
            debit=source,
            credit=outside,
            amount_minor=part_minor,
            reason="chargeback",
            ref=top_up.top_up_id,
        )
        for transfer_id, source, part_minor in (
            (row.take_id, spendable, taken_minor),
            (row.owe_id, owed, amount_minor - taken_minor),
        )
        if part_minor
    ]
    (refusal,) = await post(stores.db, [chain], now_ms)
    assert refusal is None, "no more is taken than is there"
    return -accounts[owed].balance_minor + amount_minor - taken_minor


async def _return(row: DisputeRow, top_up: TopUpRow, stores: Stores, now_ms: int) -> None:
    back = Transfer(
        transfer_id=row.return_id,
        debit=Account(PLATFORM, top_up.currency, "external"),
        credit=Account(top_up.owner_id, top_up.currency, "available"),
        amount_minor=row.amount_minor,
        reason="chargeback_returned",
        ref=top_up.top_up_id,
    )
    (refusal,) = await post(stores.db, [[back]], now_ms)
    assert refusal is None, "money from outside is always there"
