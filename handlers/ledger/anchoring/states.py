"""What is stored about anchors, as the rules take it."""

from handlers.contract import Stores
from handlers.ledger.anchoring.chain import Chain
from handlers.ledger.anchoring.rules import Done, Open, Send, State, Tree
from storage.engines.postgres import Connection
from storage.ledger import anchors_postgres
from storage.ledger.anchors_postgres import read_chain
from storage.ledger.chain_errors import ChainError
from storage.ledger.log_postgres import read_newest


async def read_state(db: Connection) -> State:
    """Return what we know ourselves. Cost: four or five round trips, an index probe each."""
    newest = await read_newest(db)
    done = await anchors_postgres.read_done(db)
    chain = await anchors_postgres.read_chain(db)
    return State(
        newest=None if newest is None else Tree(newest.tree_size, newest.root_hash),
        open=await _read_open(db),
        done=None
        if done is None
        else Done(done.anchor_id, Tree(done.tree_size, done.root_hash), done.place, done.started_at_ms),
        looked_at_ms=chain.looked_at_ms,
    )


async def _read_open(db: Connection) -> Open | None:
    row = await anchors_postgres.read_open(db)
    if row is None:
        return None
    assert row.nonce is not None, "it was signed here"
    sends = await anchors_postgres.read_sends(db, row.anchor_id)
    return Open(
        row.anchor_id,
        Tree(row.tree_size, row.root_hash),
        row.place,
        row.nonce,
        [Send(each.transaction, each.raw, each.fees, each.at_ms) for each in sends],
        row.block if row.status == "mined" else None,
        row.changed_at_ms,
    )


async def chain_state(stores: Stores) -> str:
    """Return the chain's part in readiness. Raises ChainError while something stands in the way of anchoring."""
    if stores.need(Chain).limits is None:
        return "not_configured"
    known = await read_chain(stores.db)
    if known.problem is not None:
        raise ChainError(known.problem, known.detail)
    return "ok"
