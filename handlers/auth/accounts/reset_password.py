"""Choose a new password by the token of a mail. Every session ends: whoever knew the old password is out."""

from msgspec import Struct, structs

from handlers.auth import rules
from handlers.auth.accounts.passwords import replace_password
from handlers.auth.mailing import hash_token
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Event, Outcome, Preparation, Stores
from protocols.auth.commands import MailTokenInvalid, ResetPassword
from protocols.auth.providers import IdentityUnlinked
from protocols.topics import personal_channel
from protocols.values import now_instant
from storage.auth.account_tokens_postgres import read_token, take_token
from storage.auth.factors_postgres import delete_factors
from storage.auth.identities_postgres import delete_identities
from storage.auth.users_postgres import lock_user, verify_email


class HashedReset(Struct, frozen=True):
    """A live token and the hash of a password that passed the rules."""

    token_hash: bytes
    password_hash: str


async def prepare_password_reset(command: ResetPassword, _caller: Caller, before: Preparation) -> HashedReset:
    """Check the token before anything is hashed. Raises MailTokenInvalid, PasswordTooCommon, TemporarilyUnavailable."""
    token_hash = hash_token(command.token)
    if token_hash is None:
        raise MailTokenInvalid
    async with before.connection() as db:
        token = await read_token(db, token_hash, ["reset_password"], now_instant())
    if token is None:
        raise MailTokenInvalid
    rules.check_password(command.new_password, token.user_email, token.display_name)
    return HashedReset(token_hash, await before.need(AuthTools).hash_password(command.new_password))


async def reset_password(command: HashedReset, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Use the token up and change the password; the address is proven by that, too.

    Who made an account at an address that they never proved keeps no way in, and shuts nobody out: providers they
    linked are unlinked, codes of their app are not needed.
    Raises: MailTokenInvalid.
    """
    token = await take_token(stores.db, command.token_hash, ["reset_password"], now_ms)
    user = await lock_user(stores.db, token.user_id) if token else None
    if token is None or user is None or token.email != user.email:
        raise MailTokenInvalid
    await verify_email(stores.db, user.user_id, now_ms)
    changed = await replace_password(user, command.password_hash, caller, stores, now_ms)
    if user.email_verified_at_ms is not None:
        return changed
    await delete_factors(stores.db, user.user_id)
    gone = await delete_identities(stores.db, user.user_id)
    channel = personal_channel(user.user_id)
    unlinked = [Event(channel, "identity_unlinked", IdentityUnlinked(identity_id=which)) for which in gone]
    return structs.replace(changed, events=[*changed.events, *unlinked])
