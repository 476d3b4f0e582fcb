"""Idempotency keys: the first answer of a keyed command, written in the transaction of its effect."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from storage.engines.postgres import Connection
from storage.platform.sql import load

_COLUMNS = ("user_id", "key", "fingerprint", "status", "reply", "at_ms")
_sql = load(__file__, "idempotency.sql")


class KeptAnswer(Struct, frozen=True, gc=False):
    """The first answer given to a key."""

    user_id: UUID
    key: str
    fingerprint: bytes
    status: int
    reply: bytes


async def read_answers(
    db: Connection, pairs: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], KeptAnswer]:
    """Return the kept answers among these (user, key) pairs. Cost: one round trip."""
    rows = await db.fetch(_sql.read_answers, [user for user, _ in pairs], [key for _, key in pairs])
    return {(row["user_id"], row["key"]): KeptAnswer(*row) for row in rows}


async def insert_answers(db: Connection, answers: Sequence[KeptAnswer], at_ms: int) -> bool:
    """Keep first answers; False when another transaction kept one of these keys first (then roll back).

    Cost: one round trip; may wait for a concurrent transaction with the same key.
    """
    ordered = sorted(answers, key=lambda a: (a.user_id.int, a.key))
    rows = [(a.user_id, a.key, a.fingerprint, a.status, a.reply, at_ms) for a in ordered]
    try:
        await db.copy_records_to_table("idempotency", records=rows, columns=_COLUMNS)
    except asyncpg.UniqueViolationError:
        return False
    return True


async def delete_old_answers(db: Connection, before_ms: int, limit: int) -> int:
    """Forget answers older than an instant, at most `limit` of them; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_answers, before_ms, limit))
