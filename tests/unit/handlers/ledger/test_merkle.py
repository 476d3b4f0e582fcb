"""The tree: published vectors, and every proof against a recursive definition of the tree."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.ledger import tiles
from handlers.ledger.merkle import (
    EMPTY_ROOT,
    PROOF_HASHES_MAX,
    add_leaves,
    consistency_ranges,
    fold,
    inclusion_ranges,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
)

# Leaves and roots of the trees of 1 to 8 leaves. Source: transparency-dev/merkle, testonly/constants.go.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Source: RFC 6962 vectors of Certificate Transparency: index, size, path.
INCLUSIONS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCIES = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def definition(hashes):
    """The tree as RFC 9162 section 2.1.1 defines it."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return node_hash(definition(hashes[:middle]), definition(hashes[middle:]))


def defined_path(index, hashes):
    """Section 2.1.3.1."""
    if len(hashes) == 1:
        return []
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    if index < middle:
        return [*defined_path(index, hashes[:middle]), definition(hashes[middle:])]
    return [*defined_path(index - middle, hashes[middle:]), definition(hashes[:middle])]


def defined_consistency(old, hashes, *, known=True):
    """Section 2.1.4.1."""
    if old == len(hashes):
        return [] if known else [definition(hashes)]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    if old <= middle:
        return [*defined_consistency(old, hashes[:middle], known=known), definition(hashes[middle:])]
    return [*defined_consistency(old - middle, hashes[middle:], known=False), definition(hashes[:middle])]


def hashes_of(size):
    return [leaf_hash(b"%d" % number) for number in range(size)]


MADE = hashes_of(700)
TILES = tiles.grow({}, 0, MADE)
HASHES = tiles.Hashes(TILES)


def test_hashes_of_nothing_are_the_published_ones():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == ROOTS[0]
    assert fold([]) == EMPTY_ROOT


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_published_ones(size):
    hashes = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert fold(add_leaves([], 0, hashes)).hex() == ROOTS[size - 1]
    assert tiles.Hashes(tiles.grow({}, 0, hashes)).of(0, size).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSIONS)
def test_paths_are_the_published_ones(index, size, path):
    hashes = tiles.Hashes(tiles.grow({}, 0, [leaf_hash(leaf) for leaf in LEAVES]))
    assert [hashes.of(*part).hex() for part in inclusion_ranges(index, size)] == path
    proof = [bytes.fromhex(text) for text in path]
    assert is_included(index, size, leaf_hash(LEAVES[index]), proof, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCIES)
def test_consistency_proofs_are_the_published_ones(old, new, path):
    hashes = tiles.Hashes(tiles.grow({}, 0, [leaf_hash(leaf) for leaf in LEAVES]))
    assert [hashes.of(*part).hex() for part in consistency_ranges(old, new)] == path
    proof = [bytes.fromhex(text) for text in path]
    assert is_consistent(old, new, proof, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]))


@given(st.data())
def test_proofs_of_inclusion_are_those_of_the_definition_and_nothing_else_passes(data):
    size = data.draw(st.integers(1, 600))
    index = data.draw(st.integers(0, size - 1))
    proof = [HASHES.of(*part) for part in inclusion_ranges(index, size)]
    root = definition(MADE[:size])
    assert proof == defined_path(index, MADE[:size])
    assert is_included(index, size, MADE[index], proof, root)
    assert not is_included(index, size, MADE[-1], proof, root)
    assert not is_included(index, size, MADE[index], proof, MADE[0] if size > 1 else MADE[1])
    assert not is_included(size, size, MADE[index], proof, root)
    assert not is_included(-1, size, MADE[index], proof, root)
    assert not is_included(index, size, MADE[index], [*proof, root], root)
    for at in range(len(proof)):
        assert not is_included(index, size, MADE[index], proof[:at] + proof[at + 1 :], root)
        broken = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
        assert not is_included(index, size, MADE[index], broken, root)
    other = data.draw(st.integers(0, size - 1))
    assert is_included(other, size, MADE[index], proof, root) == (other == index)


@given(st.data())
def test_proofs_of_consistency_are_those_of_the_definition_and_nothing_else_passes(data):
    new = data.draw(st.integers(1, 600))
    old = data.draw(st.integers(1, new))
    proof = [HASHES.of(*part) for part in consistency_ranges(old, new)]
    old_root, new_root = definition(MADE[:old]), definition(MADE[:new])
    assert proof == defined_consistency(old, MADE[:new])
    assert is_consistent(old, new, proof, old_root, new_root)
    assert not is_consistent(0, new, proof, old_root, new_root)
    assert not is_consistent(new + 1, new, proof, old_root, new_root)
    assert not is_consistent(old, new, [*proof, new_root], old_root, new_root)
    assert not is_consistent(old, new, proof, MADE[-1], new_root)
    assert not is_consistent(old, new, proof, old_root, MADE[-1])
    for at in range(len(proof)):
        assert not is_consistent(old, new, proof[:at] + proof[at + 1 :], old_root, new_root)
        broken = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
        assert not is_consistent(old, new, broken, old_root, new_root)


@given(st.integers(0, 500), st.integers(0, 200))
def test_a_tree_that_grows_is_the_tree_of_all_its_leaves(size, more):
    frontier = add_leaves([], 0, MADE[:size])
    assert frontier == HASHES.frontier(size)
    assert fold(add_leaves(frontier, size, MADE[size : size + more])) == definition(MADE[: size + more])


def test_no_proof_is_longer_than_the_bound_and_all_of_them_are_short():
    sizes = (2**63 - 1, 2**62 + 1, 2**40)
    longest = max(len(inclusion_ranges(index, size)) for size in sizes for index in (0, size // 3, size - 1))
    longest = max(
        longest, *(len(consistency_ranges(old, size)) for size in sizes for old in (1, size // 3, size - 1))
    )
    assert longest <= PROOF_HASHES_MAX + 1
