"""Transfers and holds, as the posting reads and writes them."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from protocols.payments.postings import Account, Transfer
from storage.engines.postgres import Connection
from storage.payments.posting_rules import HoldRow, TransferRow
from storage.platform.copying import copy_rows
from storage.platform.sql import load

_sql = load(__file__, "transfers.sql")
_TRANSFER_COLUMNS = tuple(TransferRow.__dataclass_fields__)
_HOLD_COLUMNS = tuple(HoldRow.__dataclass_fields__)


async def read_transfers(db: Connection, transfer_ids: Iterable[UUID]) -> dict[UUID, Transfer]:
    """Return what was booked under these ids. Cost: one round trip, two more probes for each that was."""
    found: dict[UUID, Transfer] = {}
    for row in await db.fetch(_sql.read_transfers, list(transfer_ids)):
        debit = Account(row["debit_owner_id"], row["currency"], row["debit_purpose"])
        credit = Account(row["credit_owner_id"], row["currency"], row["credit_purpose"])
        found[row["transfer_id"]] = Transfer(
            transfer_id=row["transfer_id"],
            debit=debit,
            credit=credit,
            amount_minor=row["amount_minor"],
            reason=row["reason"],
            ref=row["ref"],
        )
    return found


async def insert_transfers(db: Connection, rows: Sequence[TransferRow]) -> None:
    """Write transfers. Cost: one round trip."""
    await copy_rows(db, "transfers", rows, _TRANSFER_COLUMNS)


async def lock_holds(db: Connection, hold_ids: Iterable[UUID]) -> dict[UUID, HoldRow]:
    """Return the holds that exist; nobody else ends them until commit. Cost: one round trip."""
    rows = await db.fetch(_sql.lock_holds, list(hold_ids))
    return {row["hold_id"]: HoldRow(**row) for row in rows}


async def insert_holds(db: Connection, rows: Sequence[HoldRow]) -> None:
    """Write new holds. Cost: one round trip."""
    await copy_rows(db, "holds", rows, _HOLD_COLUMNS)


async def end_holds(db: Connection, rows: Sequence[HoldRow]) -> None:
    """Write the last status of locked holds. Cost: one round trip."""
    values = ((row.hold_id, row.status, row.posted_minor) for row in rows)
    await db.execute(_sql.end_holds, *map(list, zip(*values, strict=True)))
