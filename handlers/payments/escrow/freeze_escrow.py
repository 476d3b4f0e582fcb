"""Freeze an escrow."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.escrow.steps import take_step
from protocols.payments.escrow_commands import FreezeOpenEscrow
from protocols.payments.escrows import FreezeEscrow
from protocols.values import new_id


async def freeze_escrow(command: FreezeOpenEscrow, _caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Let nothing leave from the commit on. Raises EscrowNotFound, EscrowFrozen, EscrowReleased."""
    step = FreezeEscrow(step_id=new_id(), escrow_id=command.escrow_id)
    return await take_step(step, stores, now_ms)
