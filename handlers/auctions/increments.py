"""The increment table that auctions of a currency get: the newest version in the database, or the built-in one."""

from msgspec import Struct

from handlers.auctions.rules import Steps, default_steps, to_rows
from protocols.auctions.increments import IncrementVersion
from protocols.currencies import EXPONENTS
from protocols.errors import InvalidInput
from protocols.values import to_timestamp
from storage.auctions.increments_postgres import IncrementTableRow, read_newest
from storage.engines.postgres import Connection

UNKNOWN_CURRENCY = "This is not a currency of ISO 4217"


class Table(Struct, frozen=True):
    """One version of a currency's table."""

    version: int
    steps: Steps
    set_at_ms: int | None


def refuse(field: str, detail: str) -> InvalidInput:
    """Return the refusal of one field."""
    return InvalidInput(detail, errors=[{"pointer": f"/{field}", "detail": detail}])


async def read_table(db: Connection, currency: str) -> Table:
    """Return the table that holds now; version 0 is the built-in one. Raises InvalidInput. Cost: one round trip."""
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise refuse("currency", UNKNOWN_CURRENCY)
    row = await read_newest(db, currency)
    return Table(0, default_steps(exponent), None) if row is None else to_table(row)


def to_table(row: IncrementTableRow) -> Table:
    """Return a stored version."""
    return Table(row.version, Steps(tuple(row.step_limits), tuple(row.steps)), row.set_at_ms)


def to_version(table: Table) -> IncrementVersion:
    """Return a version as the wire has it."""
    at_ms = table.set_at_ms
    return IncrementVersion(
        version=table.version,
        increments=to_rows(table.steps),
        set_at=None if at_ms is None else to_timestamp(at_ms),
    )
