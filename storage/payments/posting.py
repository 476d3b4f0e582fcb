"""The books' one entry: whoever moves money does it here, inside a transaction of its own.

Locks, in this order: holds by id, accounts by owner, currency and purpose. Who posts locks its own aggregates before.
Killed before the commit, nothing was booked; killed after it, the repeat finds its transfers and books nothing.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from protocols.errors import Refusal
from protocols.payments.postings import Step
from storage.engines.postgres import Connection
from storage.ledger.leaves import queue_transfers
from storage.payments.accounts_postgres import lock_accounts, update_accounts
from storage.payments.posting_rules import (
    Books,
    HoldRow,
    TransferRow,
    accept,
    accounts_of,
    apply_chain,
    hold_ids,
    transfer_ids,
)
from storage.payments.transfers_postgres import (
    end_holds,
    insert_holds,
    insert_transfers,
    lock_holds,
    read_transfers,
)

Answer = Refusal | None
"""None: the chain is booked, or was before."""


async def post(db: Connection, chains: Sequence[Sequence[Step]], now_ms: int) -> list[Answer]:
    """Book chains in their order, each whole or not at all; return for each None, or why it was refused.

    A chain that was booked before is answered None again and books nothing. One batch writes every account once,
    however many chains touch it. Cost: six to eight round trips for the whole batch, two more for accounts that
    are new.
    """
    named_holds = set().union(*map(hold_ids, chains))
    holds = await lock_holds(db, named_holds) if named_holds else {}
    touched = set().union(*(accounts_of(chain, holds) for chain in chains))
    if not touched:
        accounts, booked = {}, {}
    else:
        accounts = await lock_accounts(db, touched)
        # after the locks: who booked the same ids a moment ago had the same accounts
        booked = await read_transfers(db, set().union(*map(transfer_ids, chains)))
    books = Books(dict(accounts), dict(holds), booked)
    transfers: list[TransferRow] = []
    answers: list[Answer] = []
    for chain in chains:
        try:
            draft = apply_chain(books, chain, now_ms)
        except Refusal as refusal:
            answers.append(refusal)
            continue
        accept(books, draft)
        transfers += draft.transfers
        answers.append(None)
    if transfers:
        await update_accounts(
            db, [row for account, row in books.accounts.items() if row != accounts[account]]
        )
        await insert_transfers(db, transfers)
        await queue_transfers(db, [books.booked[row.transfer_id] for row in transfers], now_ms)
        await _write_holds(db, holds, books.holds)
    return answers


async def _write_holds(db: Connection, before: Mapping[UUID, HoldRow], after: Mapping[UUID, HoldRow]) -> None:
    """Write the holds that are new, and those that ended."""
    new: list[HoldRow] = [row for hold_id, row in after.items() if hold_id not in before]
    ended: list[HoldRow] = [
        row for hold_id, row in after.items() if hold_id in before and row != before[hold_id]
    ]
    if new:
        await insert_holds(db, new)
    if ended:
        await end_holds(db, ended)
