"""Give back what holds took and nobody used in time."""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores
from protocols.payments.postings import EXPIRE_HOLD, VoidHold
from protocols.values import new_id
from storage.payments.posting import post

TIMER = EXPIRE_HOLD
"""Set at `expires_at_ms` by whoever takes a hold; its ref is the hold."""


async def expire_holds(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Return the money of these holds to their owners; one that was used or given back before stays as it is."""
    chains = [[VoidHold(hold_id=hold_id, return_id=new_id())] for hold_id in refs]
    await post(stores.db, chains, now_ms)
    return []
