"""Before an account's own password or address changes, whoever asks shows the password again."""

from handlers.auth import rules
from handlers.auth.attempts import count, own_counters
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Preparation
from protocols.auth.commands import BadCredentials
from protocols.auth.refusals import UserNotFound
from protocols.errors import Fault
from storage.auth.login_attempts_redis import give_back
from storage.auth.users_postgres import StoredUser, read_user


async def confirm_password(password: str, caller: Caller, before: Preparation) -> StoredUser:
    """Return the caller's account if this is its password.

    Raises: BadCredentials, RateLimited, UserNotFound, TemporarilyUnavailable.
    """
    counters = own_counters(caller, before)
    await count(before, counters)
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
