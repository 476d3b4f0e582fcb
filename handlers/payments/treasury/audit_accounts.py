"""Timer: the transfers of every account are added up once more, a part at a time, and compared with its balance."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from handlers.contract import Event, Outcome, Stores, Timer
from handlers.payments.treasury.check_treasury import next_at
from handlers.payments.treasury.totals import mended_of, to_fault, wrong_of
from protocols.payments.channels import TREASURY
from protocols.values import now_instant
from storage.payments.treasury_postgres import (
    AddedRow,
    add_up_accounts,
    read_state,
    write_audited,
    write_checks,
)

ACCOUNTS_MAX = 1_000
"""Accounts of one part: some 20 ms when nothing was booked on them."""

ENTRIES_MAX = 50_000
"""Entries that one part adds up: some 100 ms."""

PART_EVERY_MS = 100
ROUND_EVERY_MS = 30_000

_log = structlog.get_logger()


async def audit_accounts(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Add up the next accounts. One whose balance is another is kept, logged, and told with its owner and purpose.

    Only what was booked since the last look is added; what was added before is kept beside the account.
    """
    began_ms = now_instant()
    state = await read_state(stores.db)
    rows = await add_up_accounts(stores.db, state.audited_account, ACCOUNTS_MAX, ENTRIES_MAX)
    await write_checks(stores.db, rows, now_ms)
    await write_audited(stores.db, _continue_after(rows), 0 if rows else now_ms)
    events = [Event(TREASURY, "account_differs", to_fault(row, now_ms)) for row in wrong_of(rows)]
    events += [Event(TREASURY, "account_mended", to_fault(row, now_ms)) for row in mended_of(rows)]
    for row in wrong_of(rows):
        _log.error(
            "account_differs",
            owner_id=str(row.owner_id),
            currency=row.currency,
            purpose=row.purpose,
            balance_minor=row.balance_minor,
            expected_minor=row.expected_minor,
        )
    every_ms = PART_EVERY_MS if rows else ROUND_EVERY_MS
    return [
        Outcome(
            None,
            events=events,
            timers=[Timer("audit_accounts", refs[0], next_at(began_ms, now_instant(), every_ms))],
        )
    ]


def _continue_after(rows: Sequence[AddedRow]) -> int:
    """Return the account after which the next part begins; 0 begins a round."""
    if not rows:
        return 0
    last = rows[-1]
    return last.account_id if last.upto == last.entries else last.account_id - 1
