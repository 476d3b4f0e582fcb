"""Let sign-ins need no code any more. The code in the request is what shows that it is the owner."""

from handlers.auth.factors.codes import take_any_code
from handlers.auth.factors.counting import CountedCode, settle_code
from handlers.auth.mailing import send_notice
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auth.factors import FactorMissing, FactorRemoved
from protocols.auth.refusals import UserNotFound
from protocols.topics import personal_channel
from storage.auth.factors_postgres import delete_factors, has_totp
from storage.auth.users_postgres import lock_user


async def remove_totp(command: CountedCode, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Forget the app and its recovery codes. Raises UserNotFound, FactorMissing, CodeWrong."""
    user = await lock_user(stores.db, caller.id)
    if user is None:
        raise UserNotFound
    if not await has_totp(stores.db, caller.id):
        raise FactorMissing
    fits = await take_any_code(stores, caller.id, command.code, now_ms)
    await settle_code(command, stores, fits=fits)
    await delete_factors(stores.db, caller.id)
    event = Event(personal_channel(caller.id), "factor_removed", FactorRemoved(factor="totp"))
    address = caller.remote_ip or "unknown"
    jobs = await send_notice(stores, [user.email], "factor_removed", now_ms, address=address)
    return Outcome(None, events=[event], jobs=jobs)
