"""What a user owes after a dispute is paid by the next money that comes in: the books see to it at every posting.

A wallet that was frozen meanwhile pays when it is thawed: a timer looks.
"""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from protocols.payments.postings import Account
from storage.engines.postgres import Connection
from storage.payments.accounts_postgres import read_wallets
from storage.payments.posting import repay_debts

COLLECT = "collect_debts"
COLLECT_AGAIN_MS = 3_600_000
"""How soon after it is thawed a wallet pays."""


async def read_debts(db: Connection, owner_id: UUID) -> dict[str, int]:
    """Return what a user owes, in minor units by currency; nothing of a currency in which nothing is owed."""
    rows = await read_wallets(db, owner_id)
    return {
        row.currency: -row.balance_minor for row in rows if row.purpose == "receivable" and row.balance_minor
    }


async def collect_debts(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Have these users pay what they owe; ask again while they owe something."""
    timers = []
    for owner_id in sorted(dict.fromkeys(refs)):
        owed = await read_debts(stores.db, owner_id)
        spendable = [Account(owner_id, currency, "available") for currency in owed]
        await repay_debts(stores.db, spendable, now_ms)
        if await read_debts(stores.db, owner_id):
            timers.append(Timer(COLLECT, owner_id, now_ms + COLLECT_AGAIN_MS))
    return [Outcome(None, timers=timers)]
