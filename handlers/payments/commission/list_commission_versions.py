"""Read the versions of the commission rules, the newest first."""

from typing import Annotated

from msgspec import Meta

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.commission.views import to_version
from protocols.cursors import read_cursor, write_cursor
from protocols.payments.commission import CommissionVersions, ListCommissionVersions
from storage.payments.commission_postgres import list_versions, read_effective

_NEWEST = 2**31 - 1
_Version = Annotated[int, Meta(ge=0, le=_NEWEST)]


async def list_commission_versions(
    command: ListCommissionVersions, _caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Return a page of versions, and which one holds now. Raises InvalidInput."""
    before = read_cursor(command.cursor, _Version, _NEWEST)
    rows = await list_versions(stores.db, before, command.limit + 1)
    current = await read_effective(stores.db, now_ms)
    page = rows[: command.limit]
    return Outcome(
        CommissionVersions(
            current=0 if current is None else current.version,
            items=[to_version(row) for row in page],
            next_cursor=write_cursor(page[-1].version) if len(rows) > len(page) else None,
        )
    )
