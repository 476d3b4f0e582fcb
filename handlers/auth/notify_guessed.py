"""Timers: tell an owner that wrong passwords were tried, so many that more are refused for a while.

They run apart from the sign-in, and of accounts that do not exist too: no answer takes longer because somebody is told.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal
from uuid import UUID

from handlers.contract import Event, Outcome, Stores, Timer
from handlers.domain import TimerHandler
from protocols.auth.commands import PasswordGuessed
from protocols.topics import personal_channel
from storage.auth.login_attempts_redis import Counter
from storage.auth.users_postgres import find_existing


async def notify_guessed(
    refs: Sequence[UUID],
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - the event has its own instant
    *,
    refused: Literal["network", "unknown_devices"],
) -> list[Outcome]:
    """Tell each of these who has an account."""
    owners = await find_existing(stores.db, refs)
    guessed = PasswordGuessed(refused=refused)
    return [Outcome(None, [Event(personal_channel(owner), "password_guessed", guessed) for owner in owners])]


def guessed_timers(
    user_id: UUID, counters: Sequence[Counter], full: Sequence[Counter], now_ms: int
) -> list[Timer]:
    """Return the timer that tells an owner, if an attempt has filled a counter of theirs; the account's is the last."""
    if not any(counter.of_account for counter in full):
        return []
    return [guessed_timer(user_id, now_ms, everywhere=counters[-1] in full)]


def guessed_timer(user_id: UUID, now_ms: int, *, everywhere: bool) -> Timer:
    """Return the timer that tells an owner what is refused."""
    if everywhere:
        return Timer("notify_guessed_everywhere", user_id, now_ms)
    return Timer("notify_guessed", user_id, now_ms)


NOTICES: dict[str, TimerHandler] = {
    "notify_guessed": partial(notify_guessed, refused="network"),
    "notify_guessed_everywhere": partial(notify_guessed, refused="unknown_devices"),
}
"""A timer for each thing that is refused."""
