"""Second factors: the secrets of authenticator apps, recovery codes, and sign-ins that wait for a code."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "factors.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpRow:
    """The secret of an authenticator app."""

    closed: bytes
    """Encrypted by the vault."""
    last_step: int
    confirmed_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingSignIn:
    """Whose code is awaited."""

    user_id: UUID
    email: str


async def put_totp(db: Connection, user_id: UUID, closed: bytes) -> bool:
    """Keep a secret that is not proven yet; False when there is a proven one. Cost: one round trip."""
    return await db.fetchval(_sql.put_totp, user_id, closed) is not None


async def lock_totp(db: Connection, user_id: UUID) -> TotpRow | None:
    """Return a user's secret, locked until commit. Cost: one round trip; may wait for another use of it."""
    row = await db.fetchrow(_sql.lock_totp, user_id)
    return None if row is None else TotpRow(**row)


async def has_totp(db: Connection, user_id: UUID) -> bool:
    """Return whether a user's sign-ins need a code. Cost: one primary key probe."""
    return bool(await db.fetchval(_sql.has_totp, user_id))


async def confirm_totp(db: Connection, user_id: UUID, at_ms: int) -> None:
    """Take the secret into use. Cost: one round trip."""
    await db.execute(_sql.confirm_totp, user_id, at_ms)


async def use_step(db: Connection, user_id: UUID, step: int) -> None:
    """Take no code of this step, or one before it, again. Cost: one round trip; the secret must be locked."""
    await db.execute(_sql.use_step, user_id, step)


async def delete_factors(db: Connection, user_id: UUID) -> None:
    """Forget secret, recovery codes and waiting sign-ins. Cost: three round trips."""
    await db.execute(_sql.delete_totp, user_id)
    await db.execute(_sql.delete_recovery_codes, user_id)
    await db.execute(_sql.delete_challenges, user_id)


async def replace_recovery_codes(db: Connection, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """Keep these codes and no others. Cost: two round trips."""
    await db.execute(_sql.delete_recovery_codes, user_id)
    await db.execute(_sql.insert_recovery_codes, user_id, hashes)


async def use_recovery_code(db: Connection, user_id: UUID, code_hash: bytes) -> bool:
    """Use a code up; False when it is not the user's. Cost: one round trip; of two at once one gets False."""
    return await db.fetchval(_sql.use_recovery_code, user_id, code_hash) is not None


async def insert_challenge(db: Connection, challenge_hash: bytes, user_id: UUID, expires_at_ms: int) -> None:
    """Keep a sign-in that waits for a code. Cost: one round trip."""
    await db.execute(_sql.insert_challenge, challenge_hash, user_id, expires_at_ms)


async def read_challenge(db: Connection, challenge_hash: bytes, now_ms: int) -> WaitingSignIn | None:
    """Return whose live challenge this is, or None. Cost: one round trip."""
    row = await db.fetchrow(_sql.read_challenge, challenge_hash, now_ms)
    return None if row is None else WaitingSignIn(**row)


async def count_try(db: Connection, challenge_hash: bytes, user_id: UUID, now_ms: int, most: int) -> bool:
    """Count a code that is shown for a challenge; False when it is not live, or `most` were shown.

    Cost: one round trip; locks the challenge until commit.
    """
    return await db.fetchval(_sql.count_try, challenge_hash, user_id, now_ms, most) is not None


async def delete_challenge(db: Connection, challenge_hash: bytes) -> None:
    """Use a challenge up. Cost: one round trip."""
    await db.execute(_sql.delete_challenge, challenge_hash)


async def delete_challenges(db: Connection, user_id: UUID) -> None:
    """Let no sign-in of a user that has begun be completed. Cost: one round trip."""
    await db.execute(_sql.delete_challenges, user_id)


async def delete_old_challenges(db: Connection, before_ms: int, limit: int) -> int:
    """Forget challenges that expired before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_challenges, before_ms, limit))
