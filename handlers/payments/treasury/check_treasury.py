"""Timer: the totals of the books are read again and again, and told to operators when they changed."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from handlers.contract import Event, Outcome, Stores, Timer
from handlers.payments.treasury.totals import read_treasury
from protocols.payments.channels import TREASURY
from protocols.values import now_instant
from storage.payments.treasury_postgres import read_state, write_totals

EVERY_MS = 1_000
"""The least time between two checks."""

SHARE = 50
"""A check that takes t is not repeated before 50 t: it has 2% of one connection, however many accounts there are."""


def next_at(began_ms: int, ended_ms: int, every_ms: int) -> int:
    """Return when work that took so long comes again."""
    return ended_ms + max(every_ms, SHARE * (ended_ms - began_ms))


async def check_treasury(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Keep the totals of now for metrics, and tell them if they are not those of the last check."""
    began_ms = now_instant()
    state = await read_state(stores.db)
    treasury = await read_treasury(stores.db)
    totals = msgspec.to_builtins(treasury.currencies)
    await write_totals(stores.db, totals, now_ms)
    changed = totals != state.totals
    timer = Timer("check_treasury", refs[0], next_at(began_ms, now_instant(), EVERY_MS))
    return [
        Outcome(
            None,
            events=[Event(TREASURY, "treasury_changed", treasury)] if changed else [],
            timers=[timer],
        )
    ]
