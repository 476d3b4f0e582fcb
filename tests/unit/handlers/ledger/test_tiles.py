"""Tiles and their paths. Source of the tables: C2SP tlog-tiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.ledger.merkle import add_leaves, leaf_hash
from handlers.ledger.tiles import (
    HEIGHT,
    WIDTH,
    Hashes,
    MissingTileError,
    bundle,
    edge_of,
    grow,
    read_index,
    tile_width,
    write_index,
)


def test_a_tree_of_70000_has_the_tiles_of_the_example():
    tiles = grow({}, 0, [leaf_hash(b"%d" % number) for number in range(70_000)])
    widths = {place: len(tile) // 32 for place, tile in tiles.items()}
    full = [place for place, width in widths.items() if width == WIDTH]
    assert len([place for place in full if place[0] == 0]) == 273
    assert [place for place in full if place[0] == 1] == [(1, 0)]
    assert {place: width for place, width in widths.items() if width < WIDTH} == {
        (0, 273): 112,
        (1, 1): 17,
        (2, 0): 1,
    }
    assert all(tile_width(place, 70_000) == width for place, width in widths.items())
    assert tile_width((0, 274), 70_000) == tile_width((3, 0), 70_000) == 0


def test_256_leaves_are_a_full_tile_and_one_hash_above_it():
    tiles = grow({}, 0, [leaf_hash(b"%d" % number) for number in range(256)])
    assert {place: len(tile) // 32 for place, tile in tiles.items()} == {(0, 0): 256, (1, 0): 1}


@given(st.lists(st.integers(0, 300), max_size=8))
def test_tiles_that_grew_in_steps_are_those_of_all_leaves_at_once(steps):
    kept, size = {}, 0
    for more in steps:
        hashes = [leaf_hash(b"%d" % number) for number in range(size, size + more)]
        edge = {place: kept[place] for place in edge_of(size) if place in kept}
        frontier = Hashes(edge).frontier(size)
        kept |= grow(edge, size, hashes)
        size += more
        assert Hashes(kept).frontier(size) == add_leaves(frontier, size - more, hashes)
    assert kept == grow({}, 0, [leaf_hash(b"%d" % number) for number in range(size)])


def test_a_lost_tile_is_named():
    with pytest.raises(MissingTileError, match="tile 0 of level 0 lacks hash 2"):
        Hashes({(0, 0): bytes(64)}).of(0, 3)


@pytest.mark.parametrize(
    ("index", "text"),
    [(0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_an_index_is_written_in_groups_of_three(index, text):
    assert write_index(index) == text
    assert read_index(text) == (index, WIDTH)
    assert read_index(text + ".p/17") == (index, 17)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00",
        "0000",
        "x000/000",
        "001/000",
        "x001/0",
        "-01",
        "000.p/0",
        "000.p/256",
        "000.p/01",
        "000.p",
        "000.p/",
        "000/p/1",
        "\u0660\u0660\u0660",
        "000\n",
        "x001/x001/x001/x001/x001/x001/x001/000",
        "9" * 400,
    ],
)
def test_what_is_no_path_of_a_tile_is_none(text):
    assert read_index(text) is None


@given(st.integers(0, 2**55))
def test_paths_go_there_and_back(index):
    assert read_index(write_index(index)) == (index, WIDTH)


def test_a_bundle_has_each_entry_behind_its_length():
    assert bundle([b"", b"ab", bytes(300)]) == b"\x00\x00" + b"\x00\x02ab" + b"\x01\x2c" + bytes(300)
    assert HEIGHT == 8
