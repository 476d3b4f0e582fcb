"""Take an authenticator app into use by its first code."""

from handlers.auth.factors.codes import draw_recovery_codes, take_code
from handlers.auth.factors.counting import CountedCode, settle_code
from handlers.auth.mailing import send_notice
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auth.factors import FactorAdded, FactorMissing, FactorPresent, RecoveryCodes
from protocols.auth.refusals import UserNotFound
from protocols.topics import personal_channel
from storage.auth.factors_postgres import confirm_totp as keep_confirmed
from storage.auth.factors_postgres import lock_totp
from storage.auth.users_postgres import lock_user


async def confirm_totp(command: CountedCode, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Have sign-ins need codes from now on; the answer is what helps who loses the app.

    Sign-ins lock the user's row as well: each comes before, or needs a code.
    Raises: UserNotFound, FactorMissing, FactorPresent, CodeWrong.
    """
    user = await lock_user(stores.db, caller.id)
    if user is None:
        raise UserNotFound
    row = await lock_totp(stores.db, caller.id)
    if row is None:
        raise FactorMissing
    if row.confirmed_at_ms is not None:
        raise FactorPresent
    fits = await take_code(stores, caller.id, command.code, now_ms, proven=False)
    await settle_code(command, stores, fits=fits)
    await keep_confirmed(stores.db, caller.id, now_ms)
    codes = await draw_recovery_codes(stores, caller.id)
    event = Event(personal_channel(caller.id), "factor_added", FactorAdded(factor="totp"))
    address = caller.remote_ip or "unknown"
    jobs = await send_notice(stores, [user.email], "factor_added", now_ms, address=address)
    return Outcome(RecoveryCodes(codes=codes), events=[event], jobs=jobs)
