"""Release an own escrow: who paid has what was paid for."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.escrow.steps import take_step
from protocols.errors import NotAllowed
from protocols.payments.escrow_commands import ReleaseOwnEscrow
from protocols.payments.escrows import ReleaseEscrow
from protocols.payments.refusals import EscrowNotFound
from protocols.values import new_id
from storage.payments.escrows_postgres import read_escrow


async def release_escrow(command: ReleaseOwnEscrow, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Give parts, or all that is left, to those whom the lines are for.

    Raises: EscrowNotFound, NotAllowed, EscrowFrozen, EscrowReleased, EscrowTooSmall.
    """
    escrow = await read_escrow(stores.db, command.escrow_id)
    if escrow is None or caller.id not in escrow.parties:
        raise EscrowNotFound
    if caller.id != escrow.row.payer_id:  # this never changes, so no lock is needed to read it
        raise NotAllowed("Only who paid can release the escrow")
    parts = None if command.parts is None else tuple(command.parts)
    return await take_step(
        ReleaseEscrow(step_id=new_id(), escrow_id=command.escrow_id, parts=parts), stores, now_ms
    )
