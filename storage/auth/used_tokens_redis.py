"""ID tokens that have signed somebody in: each does once."""

import hashlib

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import OUTAGE, Redis


async def use_once(redis: Redis, issuer: str, nonce: str, life_s: int) -> bool:
    """Return whether a nonce of an issuer is used for the first time. Raises TemporarilyUnavailable without Redis.

    Cost: one round trip.
    """
    key = f"auth:nonce:{hashlib.sha256(f'{issuer} {nonce}'.encode()).hexdigest()}"
    try:
        return bool(await redis.set(key, b"", nx=True, ex=max(life_s, 1)))
    except OUTAGE as error:
        raise TemporarilyUnavailable(
            "Signing in with a provider does not work right now; try again soon"
        ) from error
