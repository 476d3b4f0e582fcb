"""End the dispute of an escrow by a split."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.escrow.steps import take_step
from protocols.payments.escrow_commands import ResolveFrozenEscrow
from protocols.payments.escrows import ResolveEscrow
from protocols.values import new_id


async def resolve_escrow(
    command: ResolveFrozenEscrow, _caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Give the named parts to those whom the lines are for, and the rest back to who paid.

    Raises: EscrowNotFound, EscrowNotFrozen, EscrowReleased, EscrowTooSmall.
    """
    step = ResolveEscrow(step_id=new_id(), escrow_id=command.escrow_id, released=tuple(command.released))
    return await take_step(step, stores, now_ms)
