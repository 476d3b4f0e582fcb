"""Show once more that it is you: for five minutes the session may do what needs that."""

from msgspec import Struct

from handlers.auth.accounts.confirming import confirm_password
from handlers.auth.attempts import count, own_counters
from handlers.auth.factors import rules
from handlers.auth.factors.codes import take_any_code
from handlers.auth.factors.counting import CountedCode, settle_code
from handlers.contract import Caller, Outcome, Preparation, Stores
from handlers.freshness import FRESH_MS
from protocols.auth.commands import BadCredentials, SessionOver
from protocols.auth.factors import FactorMissing, SteppedUp, StepUp
from protocols.auth.refusals import StepUpRequired
from protocols.values import to_timestamp
from storage.auth.factors_postgres import has_totp
from storage.auth.sessions_postgres import freshen_session
from storage.auth.users_postgres import share_user


class ShownFactor(Struct, frozen=True):
    """The hash that a password fitted, or else a code that was counted."""

    password_hash: str
    code: CountedCode | None


async def prepare_step_up(command: StepUp, caller: Caller, before: Preparation) -> ShownFactor:
    """Check the password, or count the code. Raises InvalidInput, and as `confirm_password`."""
    rules.check_one_way(command.password, command.code, ("password", "code"))
    if command.password:
        return ShownFactor((await confirm_password(command.password, caller, before)).password_hash, None)
    counters = own_counters(caller, before)
    await count(before, counters)
    return ShownFactor("", CountedCode(command.code, counters))


async def step_up(command: ShownFactor, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Make the session fresh. Where codes are on, a password is not enough: who stole it is kept out by the code.

    Raises: BadCredentials, CodeWrong, FactorMissing, StepUpRequired, SessionOver.
    """
    user = await share_user(stores.db, caller.id)
    if user is None:
        raise SessionOver
    needs_code = await has_totp(stores.db, user.user_id)
    if command.code is None:
        if user.password_hash != command.password_hash:
            raise BadCredentials
        if needs_code:
            raise StepUpRequired(ways=["code"])
    else:
        if not needs_code:
            raise FactorMissing
        fits = await take_any_code(stores, user.user_id, command.code.code, now_ms)
        await settle_code(command.code, stores, fits=fits)
    if not await freshen_session(stores.db, user.user_id, caller.session_id, now_ms):
        raise SessionOver
    return Outcome(SteppedUp(fresh_until=to_timestamp(now_ms + FRESH_MS)))
