"""Ask for another address: it counts once the token that is mailed to it comes back. The present one hears at once."""

from msgspec import Struct

from handlers.auth import rules
from handlers.auth.accounts.confirming import confirm_password
from handlers.auth.mailing import mail_token, need_mail, send_notice
from handlers.auth.rules import TOKEN_LIFE_MS
from handlers.contract import Caller, Outcome, Preparation, Stores
from handlers.freshness import require_fresh
from protocols.auth.commands import BadCredentials, ChangeEmail, MailRequested, TooManyMails
from storage.auth.account_tokens_postgres import AccountToken
from storage.auth.users_postgres import lock_user


class ConfirmedChange(Struct, frozen=True):
    """A change that the password was shown for."""

    password_hash: str
    email: str


async def prepare_email_change(command: ChangeEmail, caller: Caller, before: Preparation) -> ConfirmedChange:
    """Check the address and the password. Raises InvalidInput, RateLimited, and as `confirm_password`."""
    email = rules.normalise_email(command.email)
    user = await confirm_password(command.password, caller, before)
    await need_mail(caller, before)
    return ConfirmedChange(user.password_hash, email)


async def change_email(command: ConfirmedChange, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Mail the token. Whether the address has an account already is only said to who can read its mails.

    Raises: BadCredentials when the password changed meanwhile, StepUpRequired, TooManyMails.
    """
    user = await lock_user(stores.db, caller.id)
    if user is None or user.password_hash != command.password_hash:
        raise BadCredentials
    await require_fresh(stores, caller, now_ms, shown="password")
    token = AccountToken(user_id=user.user_id, purpose="change_email", email=command.email)
    jobs = await mail_token(stores, token, now_ms)
    if not jobs:
        raise TooManyMails
    jobs += await send_notice(stores, [user.email], "email_change_begun", now_ms, email=command.email)
    return Outcome(MailRequested(valid_s=TOKEN_LIFE_MS["change_email"] // 1000), jobs=jobs)
