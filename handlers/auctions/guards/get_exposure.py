"""Read what the caller leads with in guarded auctions of a currency, and may."""

from handlers.auctions.guards.exposure import read_own_exposure
from handlers.auctions.increments import UNKNOWN_CURRENCY, refuse
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.guards import GetExposure
from protocols.currencies import EXPONENTS


async def get_exposure(
    command: GetExposure,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return the caller's own exposure. Raises InvalidInput."""
    if command.currency not in EXPONENTS:
        raise refuse("currency", UNKNOWN_CURRENCY)
    return Outcome(await read_own_exposure(stores.db, caller.id, command.currency))
