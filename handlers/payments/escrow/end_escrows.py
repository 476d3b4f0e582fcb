"""Timer: what is left of an escrow at its end returns to who paid.

A frozen escrow waits for its dispute, 90 days after its opening at most: nobody's money is kept for longer.
"""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from handlers.payments.escrow.steps import announce
from protocols.errors import Refusal
from protocols.payments.escrows import EscrowStep, RefundEscrow, ResolveEscrow
from protocols.values import new_id
from storage.payments.escrow import END_ESCROW, change_escrows
from storage.payments.escrow_rules import Escrow
from storage.payments.escrows_postgres import lock_escrows


async def end_escrows(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Refund those whose end has come; one that ends later gets the timer for then."""
    escrows = (await lock_escrows(stores.db, set(refs))).values()
    over = [escrow for escrow in escrows if escrow.row.status in {"open", "frozen"}]
    due = [escrow for escrow in over if _due_at(escrow) <= now_ms]
    later = [
        Timer(END_ESCROW, escrow.row.escrow_id, _due_at(escrow))
        for escrow in over
        if _due_at(escrow) > now_ms
    ]
    outcomes = [Outcome(None, timers=later)] if later else []
    for answer in await change_escrows(stores.db, [_end(escrow) for escrow in due], now_ms):
        assert not isinstance(answer, Refusal), "these rows are locked, and their money is there"
        outcomes.append(announce(answer))
    return outcomes


def _due_at(escrow: Escrow) -> int:
    row = escrow.row
    return row.guard_at_ms if row.status == "frozen" else row.ends_at_ms


def _end(escrow: Escrow) -> EscrowStep:
    escrow_id = escrow.row.escrow_id
    if escrow.row.status == "frozen":
        return ResolveEscrow(step_id=new_id(), escrow_id=escrow_id, released=())
    return RefundEscrow(step_id=new_id(), escrow_id=escrow_id)
