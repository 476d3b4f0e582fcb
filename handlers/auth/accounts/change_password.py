"""Change the password while signed in. Every other session ends."""

from msgspec import Struct

from handlers.auth import rules
from handlers.auth.accounts.confirming import confirm_password
from handlers.auth.accounts.passwords import replace_password
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Outcome, Preparation, Stores
from handlers.freshness import require_fresh
from protocols.auth.commands import BadCredentials, ChangePassword
from storage.auth.users_postgres import lock_user


class HashedChange(Struct, frozen=True):
    """The hash that fitted, and the one that takes its place."""

    old_hash: str
    new_hash: str


async def prepare_password_change(
    command: ChangePassword, caller: Caller, before: Preparation
) -> HashedChange:
    """Check both passwords. Raises as `confirm_password`, and PasswordTooCommon."""
    user = await confirm_password(command.current_password, caller, before)
    rules.check_password(command.new_password, user.email, user.display_name)
    return HashedChange(user.password_hash, await before.need(AuthTools).hash_password(command.new_password))


async def change_password(command: HashedChange, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Change it. Raises BadCredentials when it was changed meanwhile, StepUpRequired."""
    user = await lock_user(stores.db, caller.id)
    if user is None or user.password_hash != command.old_hash:
        raise BadCredentials
    await require_fresh(stores, caller, now_ms, shown="password")
    return await replace_password(user, command.new_hash, caller, stores, now_ms, keep=caller.session_id)
