"""Mails about accounts, and the tokens in them. A token is 256 random bits; the database has its plain hash alone."""

import hashlib
import re
import secrets
from collections.abc import Sequence

from handlers.auth.attempts import network_counters
from handlers.auth.rules import MAILS_MAX, NOTICE_LIFE_MS, TOKEN_LIFE_MS, TOKENS_MAX
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, JobRequest, Preparation, Stores
from protocols.errors import RateLimited
from protocols.notifications.mails import Mail, MailText
from storage.auth.account_tokens_postgres import AccountToken, TokenPurpose, insert_token
from storage.auth.login_attempts_redis import count_attempt, mail_key
from storage.notifications.mailing import SEND_MAIL, write_mails
from storage.platform.vault import Vault

_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)

_TEXTS: dict[TokenPurpose, MailText] = {
    "verify_email": "verify_email",
    "reset_password": "reset_password",
    "change_email": "confirm_email",
}


def hash_token(token: str) -> bytes | None:
    """Return the hash that a token is kept under, or None for what is no token."""
    return hashlib.sha256(token.encode()).digest() if _TOKEN.fullmatch(token) else None


async def mail_token(stores: Stores, token: AccountToken, now_ms: int) -> list[JobRequest]:
    """Make a token and the mail that carries it to its address; nothing when enough of them are under way.

    The user's row must be locked. Cost: two round trips.
    """
    secret = secrets.token_urlsafe(32)
    token_hash, life_ms = hash_token(secret), TOKEN_LIFE_MS[token.purpose]
    assert token_hash is not None, "a new token is one"
    if not await insert_token(stores.db, token_hash, token, now_ms, life_ms, TOKENS_MAX):
        return []
    return await send_mails(stores, [token.email], _TEXTS[token.purpose], now_ms, life_ms, token=secret)


async def count_mail(caller: Caller, before: Preparation) -> int:
    """Count a mail to an address that is not proven; return the seconds to wait when the network has none left.

    Cost: one round trip.
    """
    wait_s, _ = await count_attempt(before.redis, network_counters(caller, before, mail_key, MAILS_MAX))
    return wait_s


async def need_mail(caller: Caller, before: Preparation) -> None:
    """Count a mail likewise. Raises RateLimited."""
    if wait_s := await count_mail(caller, before):
        raise RateLimited(f"Too many mails; try again in {wait_s} s", retry_after_s=wait_s)


async def send_notice(
    stores: Stores, to: Sequence[str], text: MailText, now_ms: int, **facts: str
) -> list[JobRequest]:
    """Tell these addresses of something that happened to an account. Cost: one round trip."""
    return await send_mails(stores, to, text, now_ms, NOTICE_LIFE_MS, **facts)


async def send_mails(
    stores: Stores, to: Sequence[str], text: MailText, now_ms: int, life_ms: int, **facts: str
) -> list[JobRequest]:
    """Write one mail to each address; return the jobs that send them. Cost: one round trip."""
    facts["url"] = stores.need(AuthTools).url
    mails = [Mail(to=address, text=text, facts=facts) for address in to]
    ids = await write_mails(stores.db, stores.need(Vault), mails, now_ms, life_ms)
    return [JobRequest(SEND_MAIL, mail_id) for mail_id in ids]
