"""Unfreeze an escrow."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.escrow.steps import take_step
from protocols.payments.escrow_commands import UnfreezeFrozenEscrow
from protocols.payments.escrows import UnfreezeEscrow
from protocols.values import new_id


async def unfreeze_escrow(
    command: UnfreezeFrozenEscrow, _caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Let the escrow go on. Raises EscrowNotFound, EscrowNotFrozen, EscrowReleased."""
    step = UnfreezeEscrow(step_id=new_id(), escrow_id=command.escrow_id)
    return await take_step(step, stores, now_ms)
