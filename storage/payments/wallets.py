"""What users have, for whoever has to know it before deciding to take some of it in the same transaction."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "wallets.sql")

Pair = tuple[UUID, str]
"""A user and a currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletRow:
    """What a user has of a currency."""

    available_minor: int = 0
    held_minor: int = 0
    frozen: bool = False


async def lock_wallets(db: Connection, pairs: Iterable[Pair]) -> dict[Pair, WalletRow]:
    """Return what these users have of these currencies, all zero where no money ever moved.

    Nobody else moves it until commit. Cost: one round trip, none for no pairs.
    """
    wanted = list(set(pairs))
    if not wanted:
        return {}
    found: defaultdict[Pair, dict[str, tuple[int, bool]]] = defaultdict(dict)
    for row in await db.fetch(_sql.lock_wallets, *map(list, zip(*wanted, strict=True))):
        found[row["owner_id"], row["currency"]][row["purpose"]] = (row["balance_minor"], row["frozen"])
    return {pair: _to_wallet(found[pair]) for pair in wanted}


def _to_wallet(accounts: dict[str, tuple[int, bool]]) -> WalletRow:
    nothing = (0, False)
    available_minor, frozen = accounts.get("available", nothing)
    held_minor, _ = accounts.get("held", nothing)
    return WalletRow(available_minor=available_minor, held_minor=held_minor, frozen=frozen)
