"""Signals of shill bidding and bid shielding, and the history of bidders that they are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from protocols.auctions.signals import SignalKind, SignalStatus
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "signals.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductRow:
    """What a bidder did in a period; `here` is with the seller of the auction that is reviewed."""

    bidder_id: UUID
    auctions: int
    auctions_here: int
    bids_here: int
    wins_here: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractedRow:
    """A bid that its bidder took back."""

    bidder_id: UUID
    amount: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRow:
    """A signal of abuse, and what support found."""

    signal_id: UUID
    auction_id: UUID
    seller_id: UUID
    bidder_id: UUID
    kind: SignalKind
    score: int
    evidence: str
    """A JSON object of numbers."""
    status: SignalStatus
    note: str
    raised_at_ms: int
    resolved_by: UUID | None
    resolved_at_ms: int | None


async def insert_activity(db: Connection, auction_ids: Sequence[UUID], now_ms: int) -> None:
    """Note who bid in these closed auctions; noted before is noted once. Cost: reads all their bids."""
    await db.execute(_sql.insert_activity, list(auction_ids), now_ms)


async def read_conduct(db: Connection, auction_id: UUID, since_ms: int) -> list[ConductRow]:
    """Return what all bidders of an auction did since an instant.

    Cost: reads all bids of the auction and an index range per bidder.
    """
    return [ConductRow(**row) for row in await db.fetch(_sql.read_conduct, auction_id, since_ms)]


async def delete_old_activity(db: Connection, before_ms: int, limit: int) -> int:
    """Forget activity older than an instant, at most `limit` rows; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_activity, before_ms, limit))


async def read_own_retractions(db: Connection, auction_id: UUID) -> list[RetractedRow]:
    """Return the bids that their bidders took back. Cost: a probe per retraction."""
    return [RetractedRow(**row) for row in await db.fetch(_sql.read_own_retractions, auction_id)]


async def insert_signal(db: Connection, columns: Sequence[Any]) -> bool:
    """Write a signal (columns as in `insert_signal`); False when it was raised before. Cost: one round trip."""
    return await db.fetchval(_sql.insert_signal, *columns) is not None


async def lock_signal(db: Connection, signal_id: UUID) -> SignalRow | None:
    """Return one signal, locked until commit, or None. Cost: one round trip."""
    row = await db.fetchrow(_sql.lock_signal, signal_id)
    return SignalRow(**row) if row else None


async def resolve_signal(
    db: Connection, signal_id: UUID, status: str, note: str, resolved_by: UUID, now_ms: int
) -> None:
    """Write what support found about a locked signal. Cost: one round trip."""
    await db.execute(_sql.resolve_signal, signal_id, status, note, resolved_by, now_ms)


async def list_signals(
    db: Connection, status: str, before: UUID, seller_id: UUID | None, limit: int
) -> list[SignalRow]:
    """Return up to `limit` signals of a status with smaller ids, descending. Cost: one index range."""
    if seller_id is not None:
        rows = await db.fetch(_sql.list_signals_of_seller, status, before, limit, seller_id)
    else:
        rows = await db.fetch(_sql.list_signals, status, before, limit)
    return [SignalRow(**row) for row in rows]
