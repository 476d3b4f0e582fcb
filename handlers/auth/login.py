"""Sign in. An unknown address costs the same work and gets the same answer as a wrong password.

Wrong passwords are counted by who tries: a device that has signed in to the account before has a counter of its own,
and nobody else's guesses lock it out. Others are counted by network, by network and account, and by account.
"""

from uuid import UUID

from msgspec import Struct

from handlers.auth import rules
from handlers.auth.attempts import account_counter, count, sign_in_counters
from handlers.auth.factors.challenges import ask_for_code
from handlers.auth.notify_guessed import guessed_timer
from handlers.auth.sessions import start_session
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Outcome, Preparation, Stores
from protocols.auth.commands import AccountBanned, BadCredentials, Login
from protocols.errors import Fault
from protocols.values import new_id
from storage.auth.login_attempts_redis import account_key, give_back
from storage.auth.users_postgres import (
    StoredUser,
    read_user_by_email,
    replace_password_hash,
    share_user,
)


class CheckedLogin(Struct, frozen=True):
    """A sign-in whose password fitted this hash."""

    user_id: UUID
    password_hash: str
    device_token: str


class RefusedLogin(Struct, frozen=True):
    """A wrong password after which no more are taken for a while: the owner is told."""

    user_id: UUID
    """Of no user where there is no such account: both take the same work."""
    everywhere: bool
    """From any device that is not known, not only from one network."""


async def prepare_login(command: Login, caller: Caller, before: Preparation) -> CheckedLogin | RefusedLogin:
    """Check the password, without holding a connection while it is hashed.

    Raises: InvalidInput, RateLimited, BadCredentials, TemporarilyUnavailable.
    """
    email = rules.normalise_email(command.email)
    account = account_counter(account_key(email), rules.ACCOUNT_ATTEMPTS_MAX)
    counters = await sign_in_counters(command.device_token, email, account, caller, before)
    full = await count(before, counters)
    try:
        async with before.connection() as db:
            user = await read_user_by_email(db, email)
        password_hash = user.password_hash if user else None
        fits = await before.need(AuthTools).check_password(command.password, password_hash)
    except Fault:
        await give_back(before.redis, counters)  # we failed, not the caller
        raise
    if user is not None and fits is not rules.PasswordFit.NO:
        await give_back(before.redis, counters)
        password_hash = user.password_hash
        if fits is rules.PasswordFit.AS_SENT:
            password_hash = await _rehash(user, command.password, before)
        return CheckedLogin(user.user_id, password_hash, command.device_token)
    if not any(counter.of_account for counter in full):
        raise BadCredentials
    everywhere = counters[-1] in full
    return RefusedLogin(user.user_id if user else new_id(), everywhere)


async def login(command: CheckedLogin | RefusedLogin, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Begin a session.

    Raises: AccountBanned, BadCredentials when the password changed meanwhile. Answers with: BadCredentials,
    SecondFactorRequired.
    """
    if isinstance(command, RefusedLogin):
        timer = guessed_timer(command.user_id, now_ms, everywhere=command.everywhere)
        return Outcome(None, timers=[timer], refusal=BadCredentials())
    user = await share_user(stores.db, command.user_id)
    if user is None or user.password_hash != command.password_hash:
        raise BadCredentials
    if user.banned_at_ms is not None:
        raise AccountBanned
    if asked := await ask_for_code(stores, user.user_id, now_ms):
        return asked
    return await start_session(user, caller, stores, now_ms, command.device_token)


async def _rehash(user: StoredUser, password: str, before: Preparation) -> str:
    """Replace the hash of a password as it was sent; return the new one, or the old when somebody else replaced it."""
    made = await before.need(AuthTools).hash_password(password)
    async with before.connection() as db:
        replaced = await replace_password_hash(db, user.user_id, user.password_hash, made)
    return made if replaced else user.password_hash
