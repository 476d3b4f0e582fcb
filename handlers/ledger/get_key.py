"""Read the keys by which checkpoints and cosignatures are checked."""

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.keys import LedgerKeys
from protocols.ledger.commands import GetKey, LedgerKey


async def get_key(_command: GetKey, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the verifier keys of the log and of the witness."""
    keys = stores.need(LedgerKeys)
    return Outcome(LedgerKey(vkey=keys.log.key.vkey, witness_vkey=keys.witness.key.vkey))
