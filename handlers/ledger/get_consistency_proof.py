"""Prove that the log of one size begins with the log of an older one."""

from base64 import b64encode

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.merkle import consistency_ranges
from handlers.ledger.states import find_newest
from handlers.ledger.tiles import Hashes, tiles_of
from protocols.errors import InvalidInput
from protocols.ledger.commands import ConsistencyProof, GetConsistencyProof
from protocols.ledger.refusals import TreeTooSmall
from storage.ledger.log_postgres import read_tiles


async def get_consistency_proof(
    command: GetConsistencyProof, _caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Return the hashes; none for equal sizes. Raises InvalidInput, TreeTooSmall, CheckpointNotFound."""
    if command.old > command.new:
        detail = "The old size is above the new one"
        raise InvalidInput(detail, errors=[{"pointer": "/old", "detail": detail}])
    newest = await find_newest(stores.db)
    if command.new > newest.tree_size:
        raise TreeTooSmall(tree_size=newest.tree_size)
    ranges = consistency_ranges(command.old, command.new)
    hashes = Hashes(await read_tiles(stores.db, tiles_of(ranges)))
    found = [b64encode(hashes.of(start, end)).decode() for start, end in ranges]
    return Outcome(ConsistencyProof(old=command.old, new=command.new, hashes=found))
