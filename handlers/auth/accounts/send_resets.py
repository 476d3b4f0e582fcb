"""Timer: mail a token for a new password to those who asked for one and have an account."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auth.mailing import mail_token
from handlers.contract import JobRequest, Outcome, Stores
from storage.auth.account_tokens_postgres import AccountToken, take_reset_requests
from storage.auth.users_postgres import lock_by_email


async def send_resets(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Answer these requests. An address that was sent `TOKENS_MAX` within their life is sent no more."""
    emails = await take_reset_requests(stores.db, refs)
    jobs: list[JobRequest] = []
    for user in await lock_by_email(stores.db, emails):
        token = AccountToken(user_id=user.user_id, purpose="reset_password", email=user.email)
        jobs += await mail_token(stores, token, now_ms)
    return [Outcome(None, jobs=jobs)]
