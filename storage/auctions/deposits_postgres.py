"""The deposits of auctions: whose, and what became of them. The money is a hold with the deposit's id."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.copying import copy_rows
from storage.platform.sql import load

_sql = load(__file__, "deposits.sql")

DepositEnd = Literal["returned", "applied", "lapsed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositRow:
    """A deposit that nothing became of yet."""

    deposit_id: UUID
    auction_id: UUID
    bidder_id: UUID
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDepositRow(DepositRow):
    """A deposit that is taken."""

    status: Literal["taken"] = "taken"
    at_ms: int


async def find_deposits(db: Connection, attempts: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Return those of these (auction, bidder) that have a deposit, whatever became of it. Cost: one round trip."""
    rows = await db.fetch(_sql.find_deposits, *map(list, zip(*attempts, strict=True)))
    return {(row["auction_id"], row["bidder_id"]) for row in rows}


async def insert_deposits(db: Connection, rows: Sequence[NewDepositRow]) -> None:
    """Write deposits that are taken. Cost: one round trip, none for no rows."""
    if rows:
        await copy_rows(db, "auction_deposits", rows, tuple(NewDepositRow.__dataclass_fields__))


async def lock_deposits(db: Connection, pairs: Iterable[tuple[UUID, UUID]]) -> list[DepositRow]:
    """Return the deposits of these (auction, bidder) that nothing became of. Cost: one round trip if any."""
    wanted = list(pairs)
    if not wanted:
        return []
    rows = await db.fetch(_sql.lock_deposits, *map(list, zip(*wanted, strict=True)))
    return [DepositRow(**row) for row in rows]


async def end_deposits(db: Connection, ends: Mapping[UUID, DepositEnd]) -> None:
    """Write what became of locked deposits. Cost: one round trip, none for no deposits."""
    if ends:
        await db.execute(_sql.end_deposits, list(ends), list(ends.values()))


async def take_returned(db: Connection, auction_ids: Iterable[UUID], limit: int) -> list[DepositRow]:
    """Count the next deposits that nothing became of as returned, at most `limit`. Cost: one round trip."""
    rows = await db.fetch(_sql.take_returned, list(auction_ids), limit)
    return [DepositRow(**row) for row in rows]
