"""Saved cards as their table keeps them."""

from dataclasses import dataclass
from uuid import UUID

from protocols.payments.provider import ProviderMethod
from protocols.payments.top_ups import MethodStatus
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "methods.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRow:
    """One saved card."""

    method_id: UUID
    owner_id: UUID
    token: str
    status: MethodStatus
    reference: str
    brand: str
    last4: str
    expires: str


async def insert_method(db: Connection, method_id: UUID, owner_id: UUID, token: str, now_ms: int) -> None:
    """Keep a card that the provider has not seen. Cost: one round trip."""
    await db.execute(_sql.insert_method, method_id, owner_id, token, now_ms)


async def read_method(db: Connection, method_id: UUID, owner_id: UUID) -> MethodRow | None:
    """Return a card of an owner. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_method, method_id, owner_id)
    return None if row is None else MethodRow(**row)


async def find_method(db: Connection, method_id: UUID) -> MethodRow | None:
    """Return a card, whose ever. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.find_method, method_id)
    return None if row is None else MethodRow(**row)


async def list_methods(db: Connection, owner_id: UUID) -> list[MethodRow]:
    """Return an owner's cards that can be used, newest first. Cost: one index range."""
    return [MethodRow(**row) for row in await db.fetch(_sql.list_methods, owner_id)]


async def keep_method(db: Connection, method_id: UUID, seen: ProviderMethod) -> None:
    """Write what the provider says of a card. Cost: one round trip."""
    await db.execute(_sql.keep_method, method_id, seen.reference, seen.brand, seen.last4, seen.expires)


async def remove_method(db: Connection, method_id: UUID, owner_id: UUID) -> bool:
    """Remove a card of an owner; False when there is none that was not removed before. Cost: one round trip."""
    return await db.fetchval(_sql.remove_method, method_id, owner_id) is not None
