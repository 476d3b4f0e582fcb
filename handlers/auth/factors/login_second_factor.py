"""Complete a sign-in by a code. Wrong codes are counted as wrong passwords are."""

from uuid import UUID

from msgspec import Struct

from handlers.auth.attempts import account_counter, count, sign_in_counters
from handlers.auth.factors import rules
from handlers.auth.factors.codes import take_code, take_recovery_code
from handlers.auth.mailing import hash_token
from handlers.auth.notify_guessed import guessed_timers
from handlers.auth.sessions import start_session
from handlers.contract import Caller, Outcome, Preparation, Stores
from protocols.auth.commands import AccountBanned
from protocols.auth.factors import ChallengeInvalid, CodeWrong, LoginSecondFactor
from protocols.values import now_instant
from storage.auth.factors_postgres import count_try, delete_challenge, read_challenge
from storage.auth.login_attempts_redis import Counter, code_key, give_back
from storage.auth.users_postgres import share_user


class CountedSignIn(Struct, frozen=True):
    """A code for a challenge, and what it is counted in until it has turned out right."""

    user_id: UUID
    challenge_hash: bytes
    code: str
    recovery_code: str
    device_token: str
    counters: list[Counter]
    full: list[Counter]


async def prepare_second_factor(
    command: LoginSecondFactor, caller: Caller, before: Preparation
) -> CountedSignIn:
    """Count the attempt. Raises InvalidInput, ChallengeInvalid, RateLimited."""
    rules.check_one_way(command.code, command.recovery_code, ("code", "recovery_code"))
    challenge_hash = hash_token(command.challenge)
    if challenge_hash is None:
        raise ChallengeInvalid
    async with before.connection() as db:
        waiting = await read_challenge(db, challenge_hash, now_instant())
    if waiting is None:
        raise ChallengeInvalid
    account = account_counter(code_key(waiting.user_id), rules.CODE_ATTEMPTS_MAX)
    counters = await sign_in_counters(command.device_token, waiting.email, account, caller, before)
    full = await count(before, counters)
    return CountedSignIn(
        waiting.user_id,
        challenge_hash,
        command.code,
        command.recovery_code,
        command.device_token,
        counters,
        full,
    )


async def login_second_factor(command: CountedSignIn, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Begin a session; the challenge and the code are used up by that.

    Raises: ChallengeInvalid, AccountBanned. Answers with: CodeWrong, which counts.
    """
    user = await share_user(stores.db, command.user_id)
    if user is None:
        raise ChallengeInvalid
    tries = rules.CHALLENGE_TRIES_MAX
    if not await count_try(stores.db, command.challenge_hash, user.user_id, now_ms, tries):
        await give_back(stores.redis, command.counters)
        raise ChallengeInvalid
    if command.recovery_code:
        fits = await take_recovery_code(stores, user.user_id, command.recovery_code)
    else:
        fits = await take_code(stores, user.user_id, command.code, now_ms)
    if not fits:
        timers = guessed_timers(user.user_id, command.counters, command.full, now_ms)
        return Outcome(None, timers=timers, refusal=CodeWrong())
    await give_back(stores.redis, command.counters)
    if user.banned_at_ms is not None:
        raise AccountBanned
    await delete_challenge(stores.db, command.challenge_hash)
    return await start_session(user, caller, stores, now_ms, command.device_token)
