"""Refund an escrow that is for oneself: who would get the money gives it back."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.escrow.steps import take_step
from protocols.errors import NotAllowed
from protocols.payments.escrow_commands import RefundReceivedEscrow
from protocols.payments.escrows import RefundEscrow
from protocols.payments.refusals import EscrowNotFound
from protocols.values import new_id
from storage.payments.escrows_postgres import read_escrow


async def refund_escrow(
    command: RefundReceivedEscrow, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Give all that is left back to who paid, the market's lines too.

    Raises: EscrowNotFound, NotAllowed, EscrowFrozen, EscrowReleased.
    """
    escrow = await read_escrow(stores.db, command.escrow_id)
    if escrow is None or caller.id not in escrow.parties:
        raise EscrowNotFound
    if escrow.receivers != {caller.id}:  # they never change, so no lock is needed to read them
        raise NotAllowed("Only whom all of the escrow is for can give it back")
    step = RefundEscrow(step_id=new_id(), escrow_id=command.escrow_id)
    return await take_step(step, stores, now_ms)
