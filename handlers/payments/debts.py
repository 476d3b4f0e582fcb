"""What a user owes after a chargeback is paid by the next money that comes in."""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from protocols.payments.postings import Account, Transfer
from protocols.values import new_id
from storage.engines.postgres import Connection
from storage.payments.accounts_postgres import lock_accounts, read_wallets
from storage.payments.posting import post

COLLECT = "collect_debts"
COLLECT_AGAIN_MS = 60_000
"""How soon income of another kind pays a debt."""


async def read_debt(db: Connection, owner_id: UUID, currency: str) -> int:
    """Return what a user owes in a currency, in minor units."""
    rows = await read_wallets(db, owner_id)
    return -sum(row.balance_minor for row in rows if (row.currency, row.purpose) == (currency, "receivable"))


async def repay_debt(db: Connection, owner_id: UUID, currency: str, now_ms: int) -> int:
    """Pay what a user owes in a currency out of what they may spend; return what is owed still.

    A frozen wallet pays nothing. Locks both accounts.
    """
    if not await read_debt(db, owner_id, currency):
        return 0
    spendable, owed = Account(owner_id, currency, "available"), Account(owner_id, currency, "receivable")
    rows = await lock_accounts(db, (spendable, owed))
    debt_minor = -rows[owed].balance_minor
    paid_minor = 0 if rows[spendable].frozen else min(debt_minor, rows[spendable].balance_minor)
    if paid_minor:
        repaid = Transfer(
            transfer_id=new_id(),
            debit=spendable,
            credit=owed,
            amount_minor=paid_minor,
            reason="debt_repaid",
            ref=owner_id,
        )
        await post(db, [[repaid]], now_ms)
    return debt_minor - paid_minor


async def collect_debts(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Have these users pay what they owe; ask again soon while they owe something."""
    timers = []
    for owner_id in sorted(dict.fromkeys(refs)):
        owed = [row for row in await read_wallets(stores.db, owner_id) if row.purpose == "receivable"]
        left = [
            await repay_debt(stores.db, owner_id, row.currency, now_ms) for row in owed if row.balance_minor
        ]
        if any(left):
            timers.append(Timer(COLLECT, owner_id, now_ms + COLLECT_AGAIN_MS))
    return [Outcome(None, timers=timers)]
