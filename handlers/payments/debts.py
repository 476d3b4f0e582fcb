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


async def read_debt(db: Connection, owner_id: UUID, currency: str) -> int:
    """Return what a user owes in a currency, in minor units."""
    rows = await read_wallets(db, owner_id)
    return -sum(row.balance_minor for row in rows if (row.currency, row.purpose) == (currency, "receivable"))


async def collect_debts(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Have these users pay what they owe; ask again while they owe something."""
    timers = []
    for owner_id in sorted(dict.fromkeys(refs)):
        owed = [row for row in await read_wallets(stores.db, owner_id) if row.purpose == "receivable"]
        spendable = [Account(owner_id, row.currency, "available") for row in owed if row.balance_minor]
        await repay_debts(stores.db, spendable, now_ms)
        if any([await read_debt(stores.db, owner_id, account.currency) for account in spendable]):
            timers.append(Timer(COLLECT, owner_id, now_ms + COLLECT_AGAIN_MS))
    return [Outcome(None, timers=timers)]
