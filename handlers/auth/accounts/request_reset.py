"""Ask for a new password without a session. The answer is the same, and takes as long, whoever has the address."""

from uuid import UUID

from msgspec import Struct

from handlers.auth import rules
from handlers.auth.attempts import network_counters
from handlers.contract import Caller, Outcome, Preparation, Stores, Timer
from protocols.auth.commands import MailRequested, RequestReset
from protocols.errors import RateLimited
from protocols.values import new_id
from storage.auth.account_tokens_postgres import insert_reset_request
from storage.auth.login_attempts_redis import count_attempt, reset_key

SEND_RESETS = "send_resets"
"""The timer that looks whether there is such an account, apart from the request."""


class CountedReset(Struct, frozen=True):
    """A request that the network had left."""

    request_id: UUID
    email: str


async def prepare_reset(command: RequestReset, caller: Caller, before: Preparation) -> CountedReset:
    """Count the request. Raises InvalidInput, RateLimited."""
    email = rules.normalise_email(command.email)
    counters = network_counters(caller, before, reset_key, rules.RESETS_MAX)
    wait_s, _ = await count_attempt(before.redis, counters)
    if wait_s:
        raise RateLimited(f"Too many requests; try again in {wait_s} s", retry_after_s=wait_s)
    return CountedReset(new_id(), email)


async def request_reset(
    command: CountedReset,
    caller: Caller,  # noqa: ARG001 - anybody may ask
    stores: Stores,
    now_ms: int,
) -> Outcome:
    """Keep the request; the mail leaves a moment later if there is such an account."""
    await insert_reset_request(stores.db, command.request_id, command.email)
    reply = MailRequested(valid_s=rules.TOKEN_LIFE_MS["reset_password"] // 1000)
    return Outcome(reply, timers=[Timer(SEND_RESETS, command.request_id, now_ms)])
