"""Payout accounts and payouts as their tables keep them."""

from dataclasses import dataclass
from uuid import UUID

from protocols.payments.payouts import PayoutStatus
from protocols.payments.provider import AccountStatus
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "payouts.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAccountRow:
    """One payout account."""

    account_id: UUID
    owner_id: UUID
    country: str
    status: AccountStatus
    reference: str
    """The provider's name of it; empty until an answer of the provider is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRow:
    """One payout, and the provider's name of the account that it goes to."""

    payout_id: UUID
    owner_id: UUID
    account_id: UUID
    currency: str
    amount_minor: int
    status: PayoutStatus
    sending: bool
    """The provider may have been asked."""
    reference: str
    failure: str
    take_id: UUID
    end_id: UUID
    return_id: UUID
    checks: int
    created_at_ms: int
    account: str


async def insert_account(db: Connection, account_id: UUID, owner_id: UUID, country: str, now_ms: int) -> None:
    """Keep a payout account, unless the owner has one. Cost: one round trip."""
    await db.execute(_sql.insert_account, account_id, owner_id, country, now_ms)


async def read_own_account(db: Connection, owner_id: UUID) -> PayoutAccountRow | None:
    """Return the payout account of an owner. Cost: one index probe."""
    row = await db.fetchrow(_sql.read_own_account, owner_id)
    return None if row is None else PayoutAccountRow(**row)


async def read_account_row(db: Connection, account_id: UUID) -> PayoutAccountRow | None:
    """Return a payout account. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_account, account_id)
    return None if row is None else PayoutAccountRow(**row)


async def lock_account(db: Connection, account_id: UUID) -> PayoutAccountRow | None:
    """Return a payout account that nobody else changes until commit. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.lock_account, account_id)
    return None if row is None else PayoutAccountRow(**row)


async def find_account(db: Connection, reference: str) -> UUID | None:
    """Return the payout account of a reference of the provider's. Cost: one index probe."""
    found: UUID | None = await db.fetchval(_sql.find_account, reference)
    return found


async def update_account(db: Connection, account_id: UUID, status: AccountStatus, reference: str) -> None:
    """Write what the provider says of a locked payout account. Cost: one round trip."""
    await db.execute(_sql.update_account, account_id, status, reference)


async def insert_payout(db: Connection, row: PayoutRow) -> None:
    """Keep a new payout. Cost: one round trip."""
    await db.execute(
        _sql.insert_payout,
        row.payout_id,
        row.owner_id,
        row.account_id,
        row.currency,
        row.amount_minor,
        row.take_id,
        row.end_id,
        row.return_id,
        row.created_at_ms,
    )


async def sum_payouts_since(db: Connection, owner_id: UUID, currency: str, since_ms: int) -> int:
    """Return what an owner took out since an instant, in minor units. Cost: one index range."""
    total: int = await db.fetchval(_sql.sum_since, owner_id, currency, since_ms)
    return total


async def read_payout(db: Connection, payout_id: UUID) -> PayoutRow | None:
    """Return a payout. Cost: two primary key probes."""
    row = await db.fetchrow(_sql.read_payout, payout_id)
    return None if row is None else PayoutRow(**row)


async def lock_payout(db: Connection, payout_id: UUID) -> PayoutRow | None:
    """Return a payout that nobody else changes until commit. Cost: two primary key probes."""
    row = await db.fetchrow(_sql.lock_payout, payout_id)
    return None if row is None else PayoutRow(**row)


async def list_payouts(db: Connection, owner_id: UUID, before: UUID, limit: int) -> list[PayoutRow]:
    """Return an owner's payouts before one, newest first. Cost: one index range."""
    return [PayoutRow(**row) for row in await db.fetch(_sql.list_payouts, owner_id, before, limit)]


async def find_payout(db: Connection, reference: str) -> UUID | None:
    """Return the payout of a reference of the provider's. Cost: one index probe."""
    found: UUID | None = await db.fetchval(_sql.find_payout, reference)
    return found


async def start_sending(db: Connection, payout_id: UUID) -> bool:
    """Keep from being taken back a payout that the provider will be asked for; False when it was taken back."""
    return await db.fetchval(_sql.start_sending, payout_id) is not None


async def update_payout(db: Connection, row: PayoutRow, entry: str, sent_at_ms: int | None) -> None:
    """Write status, reference and failure of a locked payout, and when it was sent first. Cost: one round trip."""
    await db.execute(
        _sql.update_payout, row.payout_id, row.status, row.reference, row.failure, entry, sent_at_ms
    )


async def note_payout_check(db: Connection, payout_id: UUID, checks: int, *, needs_review: bool) -> None:
    """Keep how often the provider was asked, and that somebody has to look. Cost: one round trip."""
    await db.execute(_sql.note_check, payout_id, checks, needs_review)
