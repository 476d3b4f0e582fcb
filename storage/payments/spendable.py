"""What users may spend, for whoever has to know it before deciding to take some of it in the same transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "spendable.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendableRow:
    """What a user may spend of a currency."""

    owner_id: UUID
    currency: str
    balance_minor: int
    frozen: bool


async def lock_spendable(db: Connection, pairs: Iterable[tuple[UUID, str]]) -> list[SpendableRow]:
    """Return what these users may spend of these currencies; nobody else spends it until commit.

    There is no row where no money ever moved. Cost: one round trip.
    """
    wanted = list(set(pairs))
    if not wanted:
        return []
    columns = map(list, zip(*wanted, strict=True))
    return [SpendableRow(**row) for row in await db.fetch(_sql.lock_spendable, *columns)]
