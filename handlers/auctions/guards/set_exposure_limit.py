"""Give a user another exposure limit. Rules: guard_rules.py."""

from handlers.auctions.guards.exposure import to_exposure
from handlers.auctions.increments import UNKNOWN_CURRENCY, refuse
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions.guards import ExposureLimitChanged, SetExposureLimit
from protocols.auth.refusals import UserNotFound
from protocols.currencies import EXPONENTS
from protocols.topics import personal_channel
from storage.auctions import exposures_postgres
from storage.auth.lookups import user_exists


async def set_exposure_limit(
    command: SetExposureLimit,
    caller: Caller,  # noqa: ARG001 - the route's permission decides
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - holds from now on
) -> Outcome:
    """Write the limit and tell the user; bids that lead stay whatever it is. Raises InvalidInput, UserNotFound."""
    if command.currency not in EXPONENTS:
        raise refuse("currency", UNKNOWN_CURRENCY)
    if not await user_exists(stores.db, command.user_id):
        raise UserNotFound
    row = await exposures_postgres.set_exposure_limit(
        stores.db, command.user_id, command.currency, command.limit
    )
    exposure = to_exposure(command.user_id, command.currency, row.limit_minor, row.used)
    changed = ExposureLimitChanged(
        currency=exposure.currency, limit=exposure.limit, used=exposure.used, free=exposure.free
    )
    event = Event(personal_channel(command.user_id), "exposure_limit_changed", changed)
    return Outcome(exposure, [event])
