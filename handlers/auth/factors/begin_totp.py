"""Get a secret for an authenticator app. Nothing needs its codes before one was confirmed."""

import secrets

from msgspec import Struct

from handlers.auth.accounts.confirming import confirm_password
from handlers.auth.factors import rules
from handlers.auth.factors.codes import context_of
from handlers.contract import Caller, Outcome, Preparation, Stores
from handlers.freshness import require_fresh
from protocols.auth.commands import BadCredentials
from protocols.auth.factors import BeginTotp, FactorPresent, TotpSecret
from protocols.auth.refusals import UserNotFound
from storage.auth.factors_postgres import put_totp
from storage.auth.users_postgres import lock_user, read_user
from storage.platform.vault import Vault


class AllowedTotp(Struct, frozen=True):
    """A wish that the password was shown for, or that needs a fresh session: no password is set."""

    password_hash: str | None


async def prepare_totp(command: BeginTotp, caller: Caller, before: Preparation) -> AllowedTotp:
    """Check the password of an account that has one. Raises as `confirm_password`."""
    async with before.connection() as db:
        user = await read_user(db, caller.id)
    if user is None:
        raise UserNotFound
    if not user.password_set:
        return AllowedTotp(None)
    return AllowedTotp((await confirm_password(command.password, caller, before)).password_hash)


async def begin_totp(command: AllowedTotp, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Keep another secret until one is proven.

    Raises: BadCredentials when the password changed meanwhile, StepUpRequired, FactorPresent.
    """
    user = await lock_user(stores.db, caller.id)
    if user is None or command.password_hash not in {None, user.password_hash}:
        raise BadCredentials
    if command.password_hash is None:
        await require_fresh(stores, caller, now_ms)
    secret = secrets.token_bytes(rules.SECRET_BYTES)
    if not await put_totp(stores.db, caller.id, stores.need(Vault).encrypt(secret, context_of(caller.id))):
        raise FactorPresent
    return Outcome(TotpSecret(secret=rules.to_secret(secret), uri=rules.to_uri(secret, user.email)))
