"""Read where a checkpoint stands on a chain."""

from base64 import b64encode
from typing import Literal

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.anchoring.chain import Chain
from handlers.ledger.states import find_checkpoint
from protocols.ledger.commands import Anchor, GetAnchor
from storage.ledger.anchors_postgres import AnchorRow, read_covering, read_open

Progress = Literal["not_configured", "waiting", "sent", "mined", "anchored"]


async def get_anchor(command: GetAnchor, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the anchor that covers the checkpoint of a size, pending until one is final. Raises CheckpointNotFound."""
    checkpoint = await find_checkpoint(stores.db, command.tree_size)
    anchor = await read_covering(stores.db, checkpoint.tree_size)
    if anchor is None:
        anchor = await read_open(stores.db)
        if anchor is not None and anchor.tree_size < checkpoint.tree_size:
            anchor = None
    root_hash, progress = b64encode(checkpoint.root_hash).decode(), _progress(anchor, stores)
    status: Literal["pending", "anchored"] = "anchored" if progress == "anchored" else "pending"
    reply = Anchor(tree_size=checkpoint.tree_size, root_hash=root_hash, status=status, progress=progress)
    if anchor is not None:
        reply = Anchor(
            tree_size=checkpoint.tree_size,
            root_hash=root_hash,
            status=status,
            progress=progress,
            anchor_size=anchor.tree_size,
            chain_id=anchor.place.chain_id,
            contract=anchor.place.address,
            transaction=anchor.transaction,
            block=anchor.block,
        )
    return Outcome(reply)


def _progress(anchor: AnchorRow | None, stores: Stores) -> Progress:
    if anchor is None:
        return "not_configured" if stores.need(Chain).limits is None else "waiting"
    assert anchor.status != "failed", "it was asked for others"
    return anchor.status
