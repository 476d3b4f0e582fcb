"""How far followers have copied."""

from msgspec import Struct

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "followers.sql")


class Position(Struct, frozen=True):
    """A place in the history of all events, in PostgreSQL's words and in JetStream's."""

    transaction_id: int = 0
    """All events of transactions below this one were copied."""
    stream: str = ""
    """Which JetStream stream `sequence` counts in: when that was made; empty for none."""
    sequence: int = 0
    """All its messages up to this one were copied."""


async def read_follower(db: Connection, name: str) -> Position:
    """Return how far a follower has copied; the beginning of a new one. Cost: one round trip."""
    row = await db.fetchrow(_sql.read_follower, name)
    return Position() if row is None else Position(*row)


async def save_follower(db: Connection, name: str, position: Position) -> None:
    """Remember how far a follower has copied. Cost: one round trip."""
    await db.execute(_sql.save_follower, name, position.transaction_id, position.stream, position.sequence)
