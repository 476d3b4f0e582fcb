"""Prove an address by the token that was mailed to it: the one an account has, or the one it shall have."""

from handlers.auth.mailing import hash_token, send_notice
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auth.commands import EmailChanged, EmailTaken, EmailVerified, MailTokenInvalid, VerifyEmail
from protocols.topics import personal_channel
from storage.auth import users_postgres
from storage.auth.account_tokens_postgres import delete_tokens, take_token


async def verify_email(
    command: VerifyEmail,
    caller: Caller,  # noqa: ARG001 - whoever has the token
    stores: Stores,
    now_ms: int,
) -> Outcome:
    """Use the token up; the account's address is its owner's from now on.

    Raises: MailTokenInvalid, EmailTaken when another account took the new address meanwhile.
    """
    token_hash = hash_token(command.token)
    if token_hash is None:
        raise MailTokenInvalid
    token = await take_token(stores.db, token_hash, ["verify_email", "change_email"], now_ms)
    user = await users_postgres.lock_user(stores.db, token.user_id) if token else None
    if token is None or user is None:
        raise MailTokenInvalid
    channel = personal_channel(user.user_id)
    if token.purpose == "verify_email":
        if token.email != user.email:  # changed since the mail was sent
            raise MailTokenInvalid
        await users_postgres.verify_email(stores.db, user.user_id, now_ms)
        return Outcome(None, events=[Event(channel, "email_verified", EmailVerified(email=user.email))])
    if not await users_postgres.change_email(stores.db, user.user_id, token.email, now_ms):
        raise EmailTaken
    await delete_tokens(stores.db, user.user_id, ["verify_email", "change_email", "reset_password"])
    jobs = await send_notice(stores, [user.email, token.email], "email_changed", now_ms, email=token.email)
    return Outcome(None, events=[Event(channel, "email_changed", EmailChanged(email=token.email))], jobs=jobs)
