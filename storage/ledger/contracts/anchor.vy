# pragma version 0.4.3
# pragma evm-version cancun
"""
@title States of a transparency log, append-only
@notice The owner writes the size and the root of the log's tree. Sizes only grow, and nothing that was written
    changes: not by the owner, not by anybody. A new owner must accept, so that no typing error loses the log.
"""

event Anchored:
    tree_size: indexed(uint64)
    root_hash: bytes32

event OwnerProposed:
    owner: indexed(address)
    next_owner: indexed(address)

event OwnerChanged:
    former: indexed(address)
    owner: indexed(address)

struct Anchor:
    tree_size: uint64
    root_hash: bytes32

owner: public(address)
next_owner: public(address)
count: public(uint256)
_anchors: HashMap[uint256, Anchor]


@deploy
def __init__():
    self.owner = msg.sender
    log OwnerChanged(former=empty(address), owner=msg.sender)


@external
def anchor(tree_size: uint64, root_hash: bytes32):
    """
    @notice Write a state of the log. Reverts unless the caller is the owner and the tree has grown.
    """
    assert msg.sender == self.owner, "not the owner"
    assert root_hash != empty(bytes32), "no root"
    count: uint256 = self.count
    assert tree_size > self._size_before(count), "not larger"
    self._anchors[count] = Anchor(tree_size=tree_size, root_hash=root_hash)
    self.count = count + 1
    log Anchored(tree_size=tree_size, root_hash=root_hash)


@external
@view
def newest() -> Anchor:
    """
    @notice The newest state; size 0 and no root before the first.
    """
    count: uint256 = self.count
    if count == 0:
        return empty(Anchor)
    return self._anchors[count - 1]


@external
@view
def first_from(tree_size: uint64) -> Anchor:
    """
    @notice The smallest anchored state of at least a size; size 0 and no root when there is none.
    """
    low: uint256 = 0
    high: uint256 = self.count
    for _: uint256 in range(256):
        if low == high:
            break
        middle: uint256 = (low + high) // 2
        if self._anchors[middle].tree_size < tree_size:
            low = middle + 1
        else:
            high = middle
    if low == self.count:
        return empty(Anchor)
    return self._anchors[low]


@external
def propose_owner(next_owner: address):
    """
    @notice Name who may take over; the zero address takes the proposal back.
    """
    assert msg.sender == self.owner, "not the owner"
    self.next_owner = next_owner
    log OwnerProposed(owner=msg.sender, next_owner=next_owner)


@external
def accept_owner():
    """
    @notice Take over. Reverts unless the caller was proposed.
    """
    assert msg.sender == self.next_owner, "not proposed"
    log OwnerChanged(former=self.owner, owner=msg.sender)
    self.owner = msg.sender
    self.next_owner = empty(address)


@internal
@view
def _size_before(count: uint256) -> uint64:
    if count == 0:
        return 0
    return self._anchors[count - 1].tree_size
