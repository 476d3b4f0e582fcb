"""The Merkle tree: hashes, and proofs as ranges of leaves; building needs hashes of ranges, checking needs none.

Source: RFC 9162 section 2.1 (the tree of RFC 6962). A range is `(start, end)` in leaves, the end exclusive.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32

EMPTY_ROOT = sha256(b"").digest()

Range = tuple[int, int]

PROOF_HASHES_MAX = 63
"""No tree whose size fits into 63 bits has a longer proof of either kind."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def split(start: int, end: int) -> int:
    """Return where a range of at least two leaves falls into its two subtrees: at the largest power of two below."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def peaks(start: int, end: int) -> list[tuple[int, int]]:
    """Return the perfect subtrees of a range that is a node of some tree, as (height, index), from left to right."""
    found = []
    while start < end:
        height = (end - start).bit_length() - 1
        found.append((height, start >> height))
        start += 1 << height
    return found


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over perfect subtrees, given from left to right; that of an empty tree without any."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the ranges whose hashes prove that a leaf is in a tree, from its sibling to the root's child."""
    assert 0 <= index < size, "only what is in the tree can be proved to be"
    found: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = split(start, end)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old_size: int, new_size: int) -> list[Range]:
    """Return the ranges whose hashes prove that a tree begins with an older one. Source: RFC 9162 section 2.1.4.1."""
    assert 0 < old_size <= new_size, "a proof begins with a tree that has leaves"
    found: list[Range] = []
    start, end = 0, new_size
    while end != old_size:
        middle = split(start, end)
        if old_size <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    if start:  # else the old tree is a subtree of the new one, and who checks has its root
        found.append((start, end))
    return found[::-1]


def add_leaves(
    frontier: Sequence[bytes],
    size: int,
    hashes: Iterable[bytes],
    visit: Callable[[int, int, bytes], None] = lambda _height, _index, _hash: None,
) -> list[bytes]:
    """Return the perfect subtrees of a tree after more leaves, from left to right.

    `frontier` are those of the tree of `size`. `visit` gets each subtree that becomes perfect: height, index, hash.
    Cost: two hashes for each leaf.
    """
    found = list(frontier)
    for hashed in hashes:
        visit(0, size, hashed)
        node, height = hashed, 0
        while size >> height & 1:
            node = node_hash(found.pop(), node)
            height += 1
            visit(height, size >> height, node)
        found.append(node)
        size += 1
    return found


def is_included(index: int, size: int, hashed: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether a leaf's hash is at an index of the tree of a root. Source: RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, hashed
    for sibling in proof:
        if not last:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return not last and found == root


def is_consistent(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Return whether a tree begins with an older one that has leaves. Source: RFC 9162 section 2.1.4.2."""
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return not last and old == old_root and new == new_root
