"""Sign-ins whose password, or provider, was right and whose code is still to come."""

import secrets
from uuid import UUID

from handlers.auth.factors.rules import CHALLENGE_LIFE_MS
from handlers.auth.mailing import hash_token
from handlers.contract import Outcome, Stores
from protocols.auth.factors import SecondFactorRequired
from storage.auth.factors_postgres import has_totp, insert_challenge


async def ask_for_code(stores: Stores, user_id: UUID, now_ms: int) -> Outcome | None:
    """Return what a sign-in is answered with if the account needs a code. Cost: one round trip, then one more.

    The user's row must be shared or locked: a factor that is added meanwhile is seen, or comes afterwards.
    """
    if not await has_totp(stores.db, user_id):
        return None
    challenge = secrets.token_urlsafe(32)
    challenge_hash = hash_token(challenge)
    assert challenge_hash is not None, "a new token is one"
    await insert_challenge(stores.db, challenge_hash, user_id, now_ms + CHALLENGE_LIFE_MS)
    asked = SecondFactorRequired(
        challenge=challenge, valid_s=CHALLENGE_LIFE_MS // 1000, ways=["code", "recovery_code"]
    )
    return Outcome(None, refusal=asked)
