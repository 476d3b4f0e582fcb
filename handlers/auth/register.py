"""Make an account: checked and hashed before the transaction, then one row, one session."""

from uuid import UUID

from msgspec import Struct, structs

from handlers.auth import rules
from handlers.auth.mailing import count_mail, mail_token
from handlers.auth.sessions import start_session
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Outcome, Preparation, Stores
from protocols.auth.commands import EmailTaken, Register
from protocols.values import new_id
from storage.auth.account_tokens_postgres import AccountToken
from storage.auth.users_postgres import insert_user


class HashedRegister(Struct, frozen=True):
    """A registration that passed the rules, its password hashed."""

    user_id: UUID
    email: str
    display_name: str
    password_hash: str
    device_token: str
    mailed: bool
    """Whether the network has a mail left; without one, the address is proven later (`resend_verification`)."""


async def prepare_register(command: Register, caller: Caller, before: Preparation) -> HashedRegister:
    """Check the input and hash the password.

    Raises: InvalidInput, PasswordTooCommon, TemporarilyUnavailable.
    """
    email = rules.normalise_email(command.email)
    display_name = rules.check_display_name(command.display_name)
    rules.check_password(command.password, email, display_name)
    password_hash = await before.need(AuthTools).hash_password(command.password)
    mailed = not await count_mail(caller, before)
    return HashedRegister(new_id(), email, display_name, password_hash, command.device_token, mailed)


async def register(command: HashedRegister, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Make the account and its first session, and have its address proven by mail.

    Raises: EmailTaken.
    """
    user = await insert_user(
        stores.db, command.user_id, command.email, command.password_hash, command.display_name, now_ms
    )
    if user is None:
        raise EmailTaken
    signed_in = await start_session(user, caller, stores, now_ms, command.device_token)
    if not command.mailed:
        return signed_in
    token = AccountToken(user_id=user.user_id, purpose="verify_email", email=user.email)
    return structs.replace(signed_in, jobs=await mail_token(stores, token, now_ms))
