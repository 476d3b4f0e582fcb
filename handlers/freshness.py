"""Commands that need more than a session: whoever has it showed a factor a moment ago."""

from handlers.contract import Caller, Stores
from protocols.auth.refusals import StepUpRequired
from storage.auth.lookups import read_freshness

FRESH_MS = 300_000
"""How long a sign-in or a step-up counts. Source: OWASP ASVS 5.0, 7.5.1 and 7.5.3."""


async def require_fresh(stores: Stores, caller: Caller, now_ms: int, *, shown: str = "") -> None:
    """Let through who signed in, made the account or stepped up within `FRESH_MS`.

    `shown` is the way whose factor the request itself carries: where the account has this way it is enough.
    Raises: StepUpRequired. Cost: one round trip.
    """
    seen = await read_freshness(stores.db, caller.id, caller.session_id)
    if seen is not None and now_ms - seen.fresh_at_ms < FRESH_MS:
        return
    ways = ["code"] if seen and seen.has_totp else ["password"] if seen and seen.password_set else ["sign_in"]
    if shown not in ways:
        raise StepUpRequired(ways=ways)
