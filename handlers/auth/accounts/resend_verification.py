"""Have the mail that proves the account's address sent again."""

from handlers.auth.mailing import mail_token, need_mail
from handlers.contract import Caller, Outcome, Preparation, Stores
from protocols.auth.commands import EmailAlreadyVerified, ResendVerification, TooManyMails
from protocols.auth.refusals import UserNotFound
from storage.auth.account_tokens_postgres import AccountToken
from storage.auth.users_postgres import lock_user


async def prepare_resend(
    command: ResendVerification, caller: Caller, before: Preparation
) -> ResendVerification:
    """Count the mail. Raises RateLimited."""
    await need_mail(caller, before)
    return command


async def resend_verification(
    command: ResendVerification,  # noqa: ARG001 - it is the caller's own address
    caller: Caller,
    stores: Stores,
    now_ms: int,
) -> Outcome:
    """Send another token; those of former mails stay good.

    Raises: EmailAlreadyVerified, TooManyMails, UserNotFound.
    """
    user = await lock_user(stores.db, caller.id)
    if user is None:
        raise UserNotFound
    if user.email_verified_at_ms is not None:
        raise EmailAlreadyVerified
    token = AccountToken(user_id=user.user_id, purpose="verify_email", email=user.email)
    jobs = await mail_token(stores, token, now_ms)
    if not jobs:
        raise TooManyMails
    return Outcome(None, jobs=jobs)
