"""The tree as tiles: 256 hashes of one level each, of which every hash of a subtree is made again.

A tile is kept once and grows; a partial tile is the beginning of it. Source: C2SP tlog-tiles.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from handlers.ledger.merkle import HASH_BYTES, Range, fold, node_hash, peaks

HEIGHT = 8
WIDTH = 1 << HEIGHT
TILE_BYTES = WIDTH * HASH_BYTES
LEVEL_MAX = 63

Place = tuple[int, int]
"""The level of a tile, and its index within the level."""

_PATH = re.compile(r"((?:x[0-9]{3}/){0,5})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


def tile_of(height: int, index: int) -> tuple[Place, int, int]:
    """Return the tile that a perfect subtree is made of, and from which of its hashes to which."""
    level, rest = divmod(height, HEIGHT)
    first = index << rest
    start = first % WIDTH
    return (level, first // WIDTH), start, start + (1 << rest)


def tiles_of(ranges: Iterable[Range]) -> set[Place]:
    """Return the tiles of which the hashes of ranges are made."""
    return {tile_of(height, index)[0] for start, end in ranges for height, index in peaks(start, end)}


class MissingTileError(Exception):
    """The log lacks hashes that a tree of its size has; the message says which."""


class Hashes:
    """Hashes of ranges, made of some tiles. Each subtree is made once."""

    def __init__(self, tiles: Mapping[Place, bytes]) -> None:
        """Take the tiles' bytes by place."""
        self._tiles = tiles
        self._made: dict[tuple[int, int], bytes] = {}

    def of(self, start: int, end: int) -> bytes:
        """Return the hash of a range that is a node of some tree. Raises MissingTileError."""
        return fold([self._subtree(height, index) for height, index in peaks(start, end)])

    def frontier(self, size: int) -> list[bytes]:
        """Return the perfect subtrees of a tree, from left to right. Raises MissingTileError."""
        return [self._subtree(height, index) for height, index in peaks(0, size)]

    def _subtree(self, height: int, index: int) -> bytes:
        known = self._made.get((height, index))
        if known is None:
            place, first, last = tile_of(height, index)
            tile = self._tiles.get(place, b"")
            if len(tile) < last * HASH_BYTES:
                raise MissingTileError(f"tile {place[1]} of level {place[0]} lacks hash {last - 1}")
            known = subtree_hash(tile[first * HASH_BYTES : last * HASH_BYTES])
            self._made[height, index] = known
        return known


def subtree_hash(hashes: bytes) -> bytes:
    """Return the root over a power of two of hashes. Cost: one hash for each but one."""
    level = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(level) > 1:
        level = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def edge_of(size: int) -> set[Place]:
    """Return the tiles that a tree of a size goes on with, those of its frontier among them."""
    found = {(0, size // WIDTH)}
    level = 0
    while size >> (HEIGHT * level):
        found.add((level, (size >> (HEIGHT * level)) // WIDTH))
        level += 1
    return found | tiles_of([(0, size)])


def grow(tiles: Mapping[Place, bytes], size: int, hashes: Sequence[bytes]) -> dict[Place, bytes]:
    """Return the tiles that a tree of a size has changed or new after more leaves.

    `tiles` holds at least `edge_of(size)`, as far as they exist.
    """
    changed: dict[Place, bytearray] = {}

    def add(level: int, index: int, hashed: bytes) -> None:
        place = (level, index // WIDTH)
        if place not in changed:
            changed[place] = bytearray(tiles.get(place, b"")[: index % WIDTH * HASH_BYTES])
        tile = changed[place]
        assert len(tile) == index % WIDTH * HASH_BYTES, "a tile grows at its end"
        tile += hashed
        if len(tile) == TILE_BYTES:
            add(level + 1, index // WIDTH, subtree_hash(bytes(tile)))

    for number, hashed in enumerate(hashes):
        add(0, size + number, hashed)
    return {place: bytes(tile) for place, tile in changed.items()}


def tile_width(place: Place, size: int) -> int:
    """Return how many hashes a tile has in a tree of a size; 0: it has no such tile."""
    level, index = place
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH))


def write_index(index: int) -> str:
    """Return a tile's index as paths have it: `x001/x234/067` for 1234067."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def read_index(text: str) -> tuple[int, int] | None:
    """Return a tile's index and width of the end of its path, or None when no tile has such a path."""
    found = _PATH.fullmatch(text)
    if found is None:
        return None
    width = WIDTH if found[3] is None else int(found[3])
    index = int(found[1].replace("x", "").replace("/", "") + found[2])
    whole = found[1] + found[2]
    return (index, width) if whole == write_index(index) and (found[3] is None or width < WIDTH) else None


def bundle(leaves: Iterable[bytes]) -> bytes:
    """Return leaves as an entry bundle: each behind its length in two bytes."""
    return b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves)
