"""Sign in. An unknown address costs the same work and gets the same answer as a wrong password."""

from uuid import UUID

from msgspec import Struct

from handlers.auth import rules
from handlers.auth.sessions import start_session
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Outcome, Preparation, Stores
from protocols.addresses import networks_of
from protocols.auth.commands import AccountBanned, BadCredentials, Login
from protocols.errors import Fault, RateLimited
from storage.auth.login_attempts_redis import account_key, count_attempt, give_back, ip_key
from storage.auth.users_postgres import (
    StoredUser,
    read_user_by_email,
    replace_password_hash,
    share_user,
)
from storage.engines.redis import Redis


class CheckedLogin(Struct, frozen=True):
    """A sign-in whose password fitted this hash."""

    user_id: UUID
    password_hash: str


async def prepare_login(command: Login, caller: Caller, before: Preparation) -> CheckedLogin:
    """Check the password, without holding a connection while it is hashed.

    Raises: InvalidInput, RateLimited, BadCredentials, TemporarilyUnavailable.
    """
    email = rules.normalise_email(command.email)
    counters: list[tuple[str, int]] = []
    if before.need(AuthTools).limit_attempts:
        if caller.remote_ip:
            own, site = networks_of(caller.remote_ip)
            counters.append((ip_key(own), rules.IP_ATTEMPTS_MAX))
            if site:
                counters.append((ip_key(site), rules.SITE_ATTEMPTS_MAX))
        counters.append((account_key(email), rules.ACCOUNT_ATTEMPTS_MAX))
    await _count(before.redis, counters)
    try:
        async with before.connection() as db:
            user = await read_user_by_email(db, email)
        password_hash = user.password_hash if user else None
        fits = await before.need(AuthTools).check_password(command.password, password_hash)
    except Fault:
        await _give_back(before.redis, counters)  # we failed, not the caller
        raise
    if user is None or fits is rules.PasswordFit.NO:
        raise BadCredentials
    await _give_back(before.redis, counters)
    if fits is rules.PasswordFit.AS_SENT:
        return CheckedLogin(user.user_id, await _rehash(user, command.password, before))
    return CheckedLogin(user.user_id, user.password_hash)


async def login(command: CheckedLogin, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Begin a session.

    Raises: AccountBanned, BadCredentials when the password changed meanwhile.
    """
    user = await share_user(stores.db, command.user_id)
    if user is None or user.password_hash != command.password_hash:
        raise BadCredentials
    if user.banned_at_ms is not None:
        raise AccountBanned
    return await start_session(user, caller, stores, now_ms)


async def _rehash(user: StoredUser, password: str, before: Preparation) -> str:
    """Replace the hash of a password as it was sent; return the new one, or the old when somebody else replaced it."""
    made = await before.need(AuthTools).hash_password(password)
    async with before.connection() as db:
        replaced = await replace_password_hash(db, user.user_id, user.password_hash, made)
    return made if replaced else user.password_hash


async def _count(redis: Redis, counters: list[tuple[str, int]]) -> None:
    """Count the attempt everywhere. Raises RateLimited."""
    for key, most in counters:
        count, wait_s = await count_attempt(redis, key)
        if count > most:
            raise RateLimited(f"Too many attempts; try again in {wait_s} s", retry_after_s=wait_s)


async def _give_back(redis: Redis, counters: list[tuple[str, int]]) -> None:
    for key, _ in counters:
        await give_back(redis, key)
