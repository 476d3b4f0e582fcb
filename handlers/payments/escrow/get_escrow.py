"""Read an escrow."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.escrow.views import to_view
from protocols.payments.escrow_commands import GetEscrow
from protocols.payments.refusals import EscrowNotFound
from storage.payments.escrows_postgres import read_escrow


async def get_escrow(command: GetEscrow, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return an escrow to its parties and to support. Raises EscrowNotFound."""
    escrow = await read_escrow(stores.db, command.escrow_id)
    if escrow is None or (caller.id not in escrow.parties and "support" not in caller.roles):
        raise EscrowNotFound
    return Outcome(to_view(escrow))
