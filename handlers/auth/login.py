"""Sign in. An unknown address costs the same work and gets the same answer as a wrong password.

Wrong passwords are counted by who tries: a device that has signed in to the account before has a counter of its own,
and nobody else's guesses lock it out. Others are counted by network, by network and account, and by account.
"""

from uuid import UUID

from msgspec import Struct

from handlers.auth import rules
from handlers.auth.devices import hash_markers
from handlers.auth.sessions import start_session
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Outcome, Preparation, Stores, Timer
from protocols.addresses import networks_of
from protocols.auth.commands import AccountBanned, BadCredentials, Login
from protocols.errors import Fault, RateLimited
from protocols.values import new_id
from storage.auth.devices_postgres import find_device
from storage.auth.login_attempts_redis import (
    Counter,
    account_key,
    count_attempt,
    device_key,
    give_back,
    ip_key,
    pair_key,
)
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
    counters: list[Counter] = []
    if before.need(AuthTools).limit_attempts:
        counters = await _read_counters(command, email, caller, before)
    wait_s, full = await count_attempt(before.redis, counters)
    if wait_s:
        raise RateLimited(f"Too many attempts; try again in {wait_s} s", retry_after_s=wait_s)
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

    Raises: AccountBanned, BadCredentials when the password changed meanwhile. Answers with: BadCredentials.
    """
    if isinstance(command, RefusedLogin):
        timer = (
            Timer("notify_guessed_everywhere", command.user_id, now_ms)
            if command.everywhere
            else Timer("notify_guessed", command.user_id, now_ms)
        )
        return Outcome(None, timers=[timer], refusal=BadCredentials())
    user = await share_user(stores.db, command.user_id)
    if user is None or user.password_hash != command.password_hash:
        raise BadCredentials
    if user.banned_at_ms is not None:
        raise AccountBanned
    return await start_session(user, caller, stores, now_ms, command.device_token)


async def _read_counters(command: Login, email: str, caller: Caller, before: Preparation) -> list[Counter]:
    """Return what this attempt counts in, the account's own counter last.

    Cost: one round trip when a marker is shown.
    """
    hashes = hash_markers(command.device_token)
    if hashes:
        async with before.connection() as db:
            known = await find_device(db, email, hashes)
        if known is not None:
            return [_counter(device_key(known, email), rules.PAIR_ATTEMPTS_MAX)]
    own, site = networks_of(caller.remote_ip)
    counters = [_counter(pair_key(own, email), rules.PAIR_ATTEMPTS_MAX, of_account=True)]
    if site:
        counters.append(_counter(pair_key(site, email), rules.SITE_PAIR_ATTEMPTS_MAX, of_account=True))
        counters.append(_counter(ip_key(site), rules.SITE_ATTEMPTS_MAX))
    if caller.remote_ip:
        counters.append(_counter(ip_key(own), rules.IP_ATTEMPTS_MAX))
    account = Counter(
        key=account_key(email),
        most=rules.ACCOUNT_ATTEMPTS_MAX,
        window_s=rules.ACCOUNT_WINDOW_S,
        of_account=True,
    )
    return [*counters, account]


async def _rehash(user: StoredUser, password: str, before: Preparation) -> str:
    """Replace the hash of a password as it was sent; return the new one, or the old when somebody else replaced it."""
    made = await before.need(AuthTools).hash_password(password)
    async with before.connection() as db:
        replaced = await replace_password_hash(db, user.user_id, user.password_hash, made)
    return made if replaced else user.password_hash


def _counter(key: str, most: int, *, of_account: bool = False) -> Counter:
    return Counter(key=key, most=most, window_s=rules.WINDOW_S, of_account=of_account)
