"""What a node says about the anchor that is on its way, or about the one that could be begun."""

from typing import TYPE_CHECKING

from handlers.ledger.anchoring.rules import (
    CONFIRMATIONS,
    Limits,
    Open,
    Seen,
    State,
    Tree,
    next_tree,
)
from protocols.ledger.chains import Fees, Included

if TYPE_CHECKING:
    from storage.ledger.chain_node import ChainNode

NO_FEES = Fees(0, 0)


async def look(node: "ChainNode", state: State, limits: Limits, now_ms: int) -> Seen:
    """Ask a node what the rules decide by. Cost: six to ten calls, one after the other. Raises ChainError."""
    await node.check(limits.place)
    if state.open is not None:
        return await _look_after(node, state.open, limits)
    return await _look_before(node, next_tree(state, limits, now_ms), limits)


async def _look_after(node: "ChainNode", anchor: Open, limits: Limits) -> Seen:
    head = await node.newest_block()
    final = await node.final_block(head.number, CONFIRMATIONS)
    included = await _find(node, anchor)
    nonce = await node.nonce()
    taken = included is None and nonce > anchor.nonce
    return Seen(
        head=head.number,
        head_at_ms=head.at_ms,
        final=final,
        nonce=nonce,
        final_nonce=await node.nonce(final) if taken else 0,
        included=included,
        asked=NO_FEES if included is not None else await node.asked_fees(head),
        balance=0,
        gas=0,
        owned=True,
        chain_size=0,
        chain_root=await node.root_of(limits.place, anchor.tree.size, final) if taken else None,
    )


async def _find(node: "ChainNode", anchor: Open) -> Included | None:
    """Return which of the sends is in a block; the newest is asked for first."""
    for send in reversed(anchor.sends):
        included = await node.find_included(send.transaction)
        if included is not None:
            return included
    return None


async def _look_before(node: "ChainNode", tree: Tree | None, limits: Limits) -> Seen:
    head = await node.newest_block()
    final = await node.final_block(head.number, CONFIRMATIONS)
    owned = await node.owner(limits.place) == node.address
    chain_size = await node.newest_size(limits.place)
    gas, root = 0, None
    if tree is not None:
        root = await node.root_of(limits.place, tree.size, final)
        if owned and chain_size < tree.size:
            gas = await node.estimate(limits.place, tree.size, tree.root)
    nonce = await node.nonce()
    return Seen(
        head=head.number,
        head_at_ms=head.at_ms,
        final=final,
        nonce=nonce,
        final_nonce=0,
        included=None,
        asked=await node.asked_fees(head),
        balance=await node.balance(),
        gas=gas,
        owned=owned,
        chain_size=chain_size,
        chain_root=root,
    )
