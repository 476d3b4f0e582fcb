"""Queued leaves become entries of a signed tree: in order, each once, whoever is killed when."""

import asyncio

import pytest

from handlers.ledger.merkle import EMPTY_ROOT, add_leaves, consistency_ranges, fold, is_consistent, leaf_hash
from handlers.ledger.notes import read_checkpoint, read_note
from handlers.ledger.sequencing import LEAVES_MAX, LogDamagedError
from handlers.ledger.tiles import Hashes, grow
from protocols.ledger.leaves import read_entry_id
from storage.ledger import log_postgres
from tests.integration.ledger.conftest import leaves_of


async def tiles_of_table(pool):
    rows = await pool.fetch("SELECT level, tile_index, hashes FROM ledger_tiles")
    return {(row["level"], row["tile_index"]): row["hashes"] for row in rows}


async def assert_signed(log):
    """Compare entries, tiles and every checkpoint with one another."""
    rows = await leaves_of(log.pool)
    hashes = [leaf_hash(row["leaf"]) for row in rows]
    assert await tiles_of_table(log.pool) == grow({}, 0, hashes)
    checkpoints = await log.pool.fetch("SELECT * FROM ledger_checkpoints ORDER BY tree_size")
    for row in checkpoints:
        note = read_note(row["note"])
        said = read_checkpoint(note.text)
        assert note.is_signed_by(log.keys.log.key)
        assert (said.origin, said.size, said.root) == (log.keys.origin, row["tree_size"], row["root_hash"])
        assert said.root == fold(add_leaves([], 0, hashes[: said.size]))
    assert checkpoints[-1]["tree_size"] == len(rows)
    return rows


async def test_a_log_begins_with_a_signed_empty_tree(log):
    await log.sequence()
    (row,) = await log.pool.fetch("SELECT tree_size, root_hash FROM ledger_checkpoints")
    assert tuple(row) == (0, EMPTY_ROOT)
    assert log.keys.origin == "market.example:8443/base/v1/ledger"
    await log.sequence()
    assert (
        await log.pool.fetchval("SELECT count(*) FROM ledger_checkpoints") == 1
    )  # nothing new, nothing signed


async def test_leaves_get_their_places_in_the_order_in_which_they_were_queued(log):
    moved = []
    for count in (1, 2, 300, 3):
        moved += await log.move(count)
        await log.sequence()
    rows = await assert_signed(log)
    assert [read_entry_id(row["leaf"]) for row in rows] == [one.transfer_id for one in moved]
    assert await log.pool.fetchval("SELECT count(*) FROM ledger_queue") == 0
    assert log.figures["ledger_entries"] == len(moved)


async def test_more_than_one_turn_takes_is_taken_at_once(log):
    await log.move(LEAVES_MAX + 5)
    await log.sequence()
    rows = await assert_signed(log)
    assert len(rows) == LEAVES_MAX + 5
    sizes = await log.pool.fetch("SELECT tree_size FROM ledger_checkpoints ORDER BY 1")
    assert [row["tree_size"] for row in sizes] == [0, LEAVES_MAX, LEAVES_MAX + 5]


async def test_every_checkpoint_is_consistent_with_the_ones_before(log):
    for count in (1, 4, 2, 260):
        await log.move(count)
        await log.sequence()
    hashes = Hashes(await tiles_of_table(log.pool))
    rows = await log.pool.fetch(
        "SELECT tree_size AS size, root_hash AS root FROM ledger_checkpoints WHERE tree_size > 0 ORDER BY 1"
    )
    for old in rows:
        for new in rows:
            if old["size"] <= new["size"]:
                proof = [hashes.of(*part) for part in consistency_ranges(old["size"], new["size"])]
                assert is_consistent(old["size"], new["size"], proof, old["root"], new["root"])


@pytest.mark.parametrize(
    "step", ["take_queued", "read_tiles", "insert_entries", "write_tiles", "insert_checkpoint"]
)
async def test_a_turn_that_ends_anywhere_has_done_nothing(log, monkeypatch, step):
    moved = await log.move(5)
    await log.sequence()
    moved += await log.move(5)
    done = getattr(log_postgres, step)

    async def end_after(*given):
        await done(*given)
        raise LookupError

    with monkeypatch.context() as patched:
        patched.setattr(log_postgres, step, end_after)
        with pytest.raises(LookupError):
            await log.sequence()
    assert len(await assert_signed(log)) == 5
    await log.sequence()
    rows = await assert_signed(log)
    assert [read_entry_id(row["leaf"]) for row in rows] == [one.transfer_id for one in moved]


async def test_of_workers_at_once_one_has_the_turn(log):
    await log.sequence()
    for _ in range(5):
        await log.move(40)
        await asyncio.gather(*(log.sequence() for _ in range(4)))
    await log.sequence()
    assert len(await assert_signed(log)) == 200


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "UPDATE ledger_tiles SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1)",
            "do not have the root",
        ),
        ("UPDATE ledger_checkpoints SET root_hash = sha256('x')", "do not have the root"),
        ("UPDATE ledger_checkpoints SET note = replace(note, 'market', 'basket')", "is not signed by"),
    ],
)
async def test_a_tree_that_is_not_the_one_that_was_signed_is_not_signed_again(log, damage, told):
    await log.move(5)
    await log.sequence()
    await log.move(1)
    async with log.damaging() as db:
        await db.execute(damage + (" WHERE tree_size = 5" if "checkpoints" in damage else ""))
    with pytest.raises(LogDamagedError, match=told):
        await log.sequence()
    assert await log.pool.fetchval("SELECT count(*) FROM ledger_entries") == 5
    await log.pool.execute("UPDATE ledger_queue SET at_ms = at_ms - 7000")
    await log.turn("ledger.audit_log")
    assert 7 <= log.figures["ledger_queue_oldest_seconds"] < 60
    assert await log.pool.fetchval("SELECT count(*) FROM ledger_queue") == 1


async def test_entries_and_checkpoints_are_never_changed(log):
    await log.move(1)
    await log.sequence()
    for statement in (
        "UPDATE ledger_entries SET leaf = ''",
        "DELETE FROM ledger_entries",
        "UPDATE ledger_checkpoints SET at_ms = 0",
        "TRUNCATE ledger_checkpoints",
    ):
        with pytest.raises(Exception, match="never changed"):
            await log.pool.execute(statement)
