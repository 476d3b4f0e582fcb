"""Whose turn it is in what one worker at a time does."""

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "loops.sql")


async def take_turn(db: Connection, name: str) -> bool:
    """Return whether this transaction has the turn of a loop, until it ends. Cost: one round trip; nobody waits."""
    taken: bool = await db.fetchval(_sql.take_turn, name)
    return taken
