"""Codes that are shown: taken at most once, and counted when they are wrong."""

import secrets
from uuid import UUID

from handlers.auth.factors import rules
from handlers.contract import Stores
from storage.auth.factors_postgres import lock_totp, replace_recovery_codes, use_recovery_code, use_step
from storage.platform.vault import Vault


async def take_code(stores: Stores, user_id: UUID, text: str, now_ms: int, *, proven: bool = True) -> bool:
    """Use up a code of the app; False when it is not good. The secret stays locked until commit.

    `proven` asks for a secret in use, else for one that no code was shown of. Cost: two round trips.
    """
    row = await lock_totp(stores.db, user_id)
    if row is None or (row.confirmed_at_ms is not None) != proven:
        return False
    secret = stores.need(Vault).decrypt(row.closed, context_of(user_id))
    step = rules.find_step(secret, rules.read_digits(text) or "", row.last_step, now_ms)
    if step is None:
        return False
    await use_step(stores.db, user_id, step)
    return True


async def take_recovery_code(stores: Stores, user_id: UUID, text: str) -> bool:
    """Use up a recovery code; False when it is not good. Cost: one round trip."""
    code_hash = rules.hash_recovery_code(text)
    return code_hash is not None and await use_recovery_code(stores.db, user_id, code_hash)


async def take_any_code(stores: Stores, user_id: UUID, text: str, now_ms: int) -> bool:
    """Use up a code of the app or a recovery code. Cost: as of one of them."""
    if rules.hash_recovery_code(text) is not None:
        return await take_recovery_code(stores, user_id, text)
    return await take_code(stores, user_id, text, now_ms)


async def draw_recovery_codes(stores: Stores, user_id: UUID) -> list[str]:
    """Make ten codes in place of those there are. Cost: two round trips."""
    codes = [
        rules.to_recovery_code(secrets.token_bytes(rules.RECOVERY_BYTES)) for _ in range(rules.RECOVERY_CODES)
    ]
    hashes = [made for made in map(rules.hash_recovery_code, codes) if made is not None]
    await replace_recovery_codes(stores.db, user_id, hashes)
    return codes


def context_of(user_id: UUID) -> bytes:
    """Return what a secret is bound to: moved to another account's row it does not decrypt."""
    return b"totp" + user_id.bytes
