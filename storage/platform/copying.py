"""Many rows in one round trip."""

from collections.abc import Sequence

from storage.engines.postgres import Connection


async def copy_rows(db: Connection, table: str, rows: Sequence[object], columns: Sequence[str]) -> None:
    """Write rows whose attributes are named like the columns (COPY). Cost: one round trip."""
    records = [tuple(getattr(row, name) for name in columns) for row in rows]
    await db.copy_records_to_table(table, records=records, columns=columns)
