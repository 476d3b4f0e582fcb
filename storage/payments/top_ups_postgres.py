"""Top-ups as their table keeps them."""

from dataclasses import dataclass
from uuid import UUID

from protocols.payments.top_ups import TopUpStatus
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "top_ups.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpRow:
    """One top-up."""

    top_up_id: UUID
    owner_id: UUID
    currency: str
    amount_minor: int
    status: TopUpStatus
    method_id: UUID | None
    reference: str
    """The provider's name of its payment; empty until an answer of the provider is known."""
    failure: str
    transfer_id: UUID
    """Books its money, once."""
    refunded_minor: int
    checks: int
    """How often a silent provider was asked again."""
    created_at_ms: int


async def insert_top_up(db: Connection, row: TopUpRow) -> None:
    """Keep a new top-up. Cost: one round trip."""
    await db.execute(
        _sql.insert_top_up,
        row.top_up_id,
        row.owner_id,
        row.currency,
        row.amount_minor,
        row.method_id,
        row.transfer_id,
        row.created_at_ms,
    )


async def lock_owner(db: Connection, owner_id: UUID) -> None:
    """Let nobody else bring money of this owner in or out until commit: limits count what is there."""
    await db.execute(_sql.lock_owner, str(owner_id))


async def sum_since(db: Connection, owner_id: UUID, currency: str, since_ms: int) -> int:
    """Return what an owner brought in since an instant, in minor units. Cost: one index range."""
    total: int = await db.fetchval(_sql.sum_since, owner_id, currency, since_ms)
    return total


async def read_top_up(db: Connection, top_up_id: UUID) -> TopUpRow | None:
    """Return a top-up. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_top_up, top_up_id)
    return None if row is None else TopUpRow(**row)


async def lock_top_up(db: Connection, top_up_id: UUID) -> TopUpRow | None:
    """Return a top-up that nobody else changes until commit. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.lock_top_up, top_up_id)
    return None if row is None else TopUpRow(**row)


async def find_reference(db: Connection, reference: str) -> UUID | None:
    """Return the top-up of a payment of the provider's. Cost: one index probe."""
    found: UUID | None = await db.fetchval(_sql.find_reference, reference)
    return found


async def list_top_ups(db: Connection, owner_id: UUID, before: UUID, limit: int) -> list[TopUpRow]:
    """Return an owner's top-ups before one, newest first. Cost: one index range."""
    return [TopUpRow(**row) for row in await db.fetch(_sql.list_top_ups, owner_id, before, limit)]


async def update_top_up(db: Connection, row: TopUpRow) -> None:
    """Write status, failure and what went back of a locked top-up. Cost: one round trip."""
    await db.execute(_sql.update_top_up, row.top_up_id, row.status, row.failure, row.refunded_minor)


async def note_payment(db: Connection, top_up_id: UUID, reference: str, entry: str) -> None:
    """Keep what the provider, and its books, call a top-up. Cost: one round trip."""
    await db.execute(_sql.note_payment, top_up_id, reference, entry)


async def note_booked(db: Connection, top_up_id: UUID, now_ms: int) -> None:
    """Keep when the money of a top-up was booked. Cost: one round trip."""
    await db.execute(_sql.note_booked, top_up_id, now_ms)


async def note_check(db: Connection, top_up_id: UUID, checks: int, *, needs_review: bool) -> None:
    """Keep how often the provider was asked, and that somebody has to look. Cost: one round trip."""
    await db.execute(_sql.note_check, top_up_id, checks, needs_review)


async def read_customer(db: Connection, owner_id: UUID) -> str:
    """Return the provider's name of a user; empty when there is none. Cost: one primary key probe."""
    return await db.fetchval(_sql.read_customer, owner_id) or ""


async def keep_customer(db: Connection, owner_id: UUID, reference: str) -> None:
    """Keep the provider's name of a user. Cost: one round trip."""
    await db.execute(_sql.keep_customer, owner_id, reference)
