"""Mails as their table keeps them."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "mails.sql")

MailOutcome = Literal["sent", "refused", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMail:
    """A mail that is to be sent."""

    closed: bytes
    """Its `Mail` as JSON, encrypted in the context of its id."""
    expires_at_ms: int


async def read_waiting(db: Connection, mail_id: UUID) -> WaitingMail | None:
    """Return a mail that waits, or None when it was sent, given up or forgotten. Cost: one round trip."""
    row = await db.fetchrow(_sql.read_waiting, mail_id)
    return None if row is None else WaitingMail(**row)


async def end_mail(db: Connection, mail_id: UUID, outcome: MailOutcome, at_ms: int) -> None:
    """Note how a mail ended, and drop its content; a mail that ended before stays as it is. Cost: one round trip."""
    await db.execute(_sql.end_mail, mail_id, outcome, at_ms)


async def delete_old_mails(db: Connection, before_ms: int, limit: int) -> int:
    """Forget mails of before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_mails, before_ms, limit))
