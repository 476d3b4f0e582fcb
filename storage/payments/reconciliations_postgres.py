"""Reports of the comparison with the provider's books, and what of ours is compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from protocols.payments.reconciliations import BookedEntry, Difference
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "reconciliations.sql")
_DIFFERENCE_COLUMNS = (
    "report_id",
    "number",
    "kind",
    "source",
    "own_id",
    "currency",
    "provider_minor",
    "ours_minor",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One report."""

    report_id: UUID
    day: date
    status: Literal["running", "done"]
    movements: int
    differences: int
    finished_at_ms: int | None


async def insert_report(db: Connection, report_id: UUID, day: date, now_ms: int) -> bool:
    """Begin the report of a day; False when it has one. Cost: one round trip."""
    return await db.fetchval(_sql.insert_report, report_id, day, now_ms) is not None


async def read_running_day(db: Connection, report_id: UUID) -> date | None:
    """Return the day of a report that is not done. Cost: one primary key probe."""
    found: date | None = await db.fetchval(_sql.read_day, report_id)
    return found


async def finish_report(
    db: Connection, report_id: UUID, movements: int, differences: Sequence[Difference], now_ms: int
) -> bool:
    """Write what a report found; False when it was done before. Cost: two round trips."""
    if await db.fetchval(_sql.finish_report, report_id, movements, len(differences), now_ms) is None:
        return False
    rows = [
        (report_id, number, d.kind, d.source, d.own_id, d.currency, d.provider_amount, d.our_amount)
        for number, d in enumerate(differences)
    ]
    await db.copy_records_to_table("reconciliation_differences", records=rows, columns=_DIFFERENCE_COLUMNS)
    return True


async def list_reports(db: Connection, before: date, limit: int) -> list[ReportRow]:
    """Return reports of days before one, newest first. Cost: one index range."""
    return [ReportRow(**row) for row in await db.fetch(_sql.list_reports, before, limit)]


async def list_differences(
    db: Connection, report_ids: Sequence[UUID], limit: int
) -> dict[UUID, list[Difference]]:
    """Return the first differences of reports, at most `limit` of each. Cost: one index range for each."""
    found: dict[UUID, list[Difference]] = {report_id: [] for report_id in report_ids}
    for row in await db.fetch(_sql.list_differences, list(report_ids), limit):
        difference = Difference(
            kind=row["kind"],
            source=row["source"],
            own_id=row["own_id"],
            currency=row["currency"],
            provider_amount=row["provider_minor"],
            our_amount=row["ours_minor"],
        )
        found[row["report_id"]].append(difference)
    return found


async def read_booked(
    db: Connection, since_ms: int, until_ms: int, sources: Sequence[str]
) -> list[BookedEntry]:
    """Return what we booked in an interval, or under these names of the provider's. Cost: eight index ranges."""
    rows = await db.fetch(_sql.read_booked, since_ms, until_ms, list(sources))
    return [BookedEntry(**{**row, "amounts": tuple(row["amounts"])}) for row in rows]


async def count_differences(db: Connection) -> int:
    """Return how many differences the newest finished report has; 0 without one. Cost: one index probe."""
    return await db.fetchval(_sql.count_newest) or 0


async def count_for_review(db: Connection) -> int:
    """Return how many top-ups, refunds and payouts a person has to look at. Cost: a pass over them."""
    found: int = await db.fetchval(_sql.count_review)
    return found
