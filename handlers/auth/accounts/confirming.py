"""Before an account's own password or address changes, whoever asks shows the password again."""

from handlers.auth import rules
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Preparation
from protocols.auth.commands import BadCredentials
from protocols.auth.refusals import UserNotFound
from protocols.errors import Fault, RateLimited
from storage.auth.login_attempts_redis import Counter, confirm_key, count_attempt, give_back
from storage.auth.users_postgres import StoredUser, read_user


async def confirm_password(password: str, caller: Caller, before: Preparation) -> StoredUser:
    """Return the caller's account if this is its password.

    Raises: BadCredentials, RateLimited, UserNotFound, TemporarilyUnavailable.
    """
    counters: list[Counter] = []
    if before.need(AuthTools).limit_attempts:
        counters = [
            Counter(key=confirm_key(caller.id), most=rules.PAIR_ATTEMPTS_MAX, window_s=rules.WINDOW_S)
        ]
    wait_s, _ = await count_attempt(before.redis, counters)
    if wait_s:
        raise RateLimited(f"Too many attempts; try again in {wait_s} s", retry_after_s=wait_s)
    try:
        async with before.connection() as db:
            user = await read_user(db, caller.id)
        if user is None:
            raise UserNotFound
        fits = await before.need(AuthTools).check_password(password, user.password_hash)
    except Fault:
        await give_back(before.redis, counters)  # we failed, not the caller
        raise
    if fits is rules.PasswordFit.NO:
        raise BadCredentials
    await give_back(before.redis, counters)
    return user
