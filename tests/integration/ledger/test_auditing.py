"""One changed byte anywhere in leaves, tiles or checkpoints is found in one pass, and where it is."""

import pytest
from structlog.testing import capture_logs

from handlers.ledger import auditing
from handlers.ledger.auditing import CHECKPOINTS_MAX, LEAVES_MAX
from tests.integration.ledger.conftest import Log

LEAF, TILE, CHECKPOINT = auditing.PARTS


@pytest.fixture(autouse=True)
def without_rest(monkeypatch):
    monkeypatch.setattr(auditing, "REST_MS", 0)


async def run_pass(log: Log) -> dict[str, tuple[int, int]]:
    """Run the auditor until its pass ends; return by part how many places are wrong, and the first."""
    before = await log.pool.fetchval("SELECT pass_number FROM ledger_audit")
    turns = 0
    while await log.pool.fetchval("SELECT pass_number FROM ledger_audit") == before:
        await log.run_loop("ledger.audit_log")
        turns += 1
        assert turns < 100
    return {
        part: (
            int(log.figures[f"ledger_audit_differences {part}"]),
            int(log.figures[f"ledger_audit_first_difference {part}"]),
        )
        for part in auditing.PARTS
        if log.figures[f"ledger_audit_differences {part}"]
    }


async def fill(log: Log, *counts: int) -> None:
    for count in counts:
        await log.move(count)
        await log.sequence()


async def test_a_log_that_is_right_passes_and_lags_by_nothing(log):
    await fill(log, 3, 300, 1, 255)
    assert await run_pass(log) == {}
    assert log.figures["ledger_audit_lag_leaves"] == 0
    assert log.figures["ledger_audit_lag_seconds"] == 0
    assert log.figures["ledger_queue_oldest_seconds"] == 0
    assert log.figures["ledger_audit_leaves_per_second"] > 0
    assert log.figures["ledger_audit_first_difference leaf"] == -1


async def test_a_pass_is_bounded_turns_and_goes_on_where_it_was(log, monkeypatch):
    monkeypatch.setattr(auditing, "LEAVES_MAX", 100)
    await fill(log, 350)
    lags = []
    for _ in range(4):
        await log.run_loop("ledger.audit_log")
        lags.append(log.figures["ledger_audit_lag_leaves"])
    assert lags == [250, 150, 50, 0]
    assert await run_pass(log) == {}
    assert LEAVES_MAX == 500


async def test_many_checkpoints_are_checked_in_several_turns(log, monkeypatch):
    monkeypatch.setattr(auditing, "CHECKPOINTS_MAX", 3)
    await fill(log, *[1, 2] * 5)
    assert await run_pass(log) == {}
    async with log.damaging() as db:
        await db.execute("UPDATE ledger_checkpoints SET note = replace(note, '=', '-') WHERE tree_size = 13")
    assert await run_pass(log) == {CHECKPOINT: (1, 13)}
    assert CHECKPOINTS_MAX == 50


async def test_a_log_without_entries_passes(log):
    assert await run_pass(log) == {}
    await log.sequence()
    assert await run_pass(log) == {}


async def flip(log: Log, table: str, column: str, where: str, place: int) -> None:
    """Change one bit of a byte of a row; a second time brings it back."""
    raw = "convert_to(note, 'UTF8')" if column == "note" else column
    changed = f"set_byte({raw}, {place}, get_byte({raw}, {place}) # 1)"
    if column == "note":
        changed = f"convert_from({changed}, 'UTF8')"
    async with log.damaging() as db:
        await db.execute(f"UPDATE {table} SET {column} = {changed} WHERE {where}")  # noqa: S608


async def length_of(log: Log, table: str, column: str, where: str) -> int:
    size = f"octet_length({column})"
    return await log.pool.fetchval(f"SELECT {size} FROM {table} WHERE {where}")  # noqa: S608


@pytest.mark.parametrize(
    ("table", "column", "where", "step", "part", "place"),
    [
        ("ledger_entries", "leaf", "leaf_index = 0", 41, LEAF, 0),
        ("ledger_entries", "leaf", "leaf_index = 299", 83, LEAF, 299),
        ("ledger_entries", "leaf", "leaf_index = 519", 97, LEAF, 519),
        ("ledger_tiles", "hashes", "(level, tile_index) = (0, 0)", 1021, LEAF, None),
        ("ledger_tiles", "hashes", "(level, tile_index) = (0, 2)", 97, LEAF, None),
        ("ledger_tiles", "hashes", "(level, tile_index) = (1, 0)", 13, TILE, None),
        ("ledger_checkpoints", "root_hash", "tree_size = 3", 7, CHECKPOINT, 3),
        ("ledger_checkpoints", "root_hash", "tree_size = 520", 7, CHECKPOINT, 520),
        ("ledger_checkpoints", "note", "tree_size = 0", 23, CHECKPOINT, 0),
        ("ledger_checkpoints", "note", "tree_size = 300", 29, CHECKPOINT, 300),
    ],
)
async def test_one_flipped_bit_is_found_in_one_pass(filled, table, column, where, step, part, place):
    log = filled
    length = await length_of(log, table, column, where)
    note = ""
    if column == "note":
        note = await log.pool.fetchval(f"SELECT note FROM {table} WHERE {where}")  # noqa: S608
    dash = len(note.partition("—")[0].encode())
    for at in range(0, length, step):
        if column == "note" and dash <= at < dash + 3:
            continue  # a dash has three bytes, and PostgreSQL keeps out what is no UTF-8
        await flip(log, table, column, where, at)
        found = await run_pass(log)
        assert part in found, (at, found)
        if place is not None:
            assert found[part][1] == place
        elif table == "ledger_tiles" and "(0, " in where:
            assert found[part][1] == int(where[-2]) * 256 + at // 32
        await flip(log, table, column, where, at)
        assert await run_pass(log) == {}  # mended: the alarm ends


@pytest.fixture
async def filled(log):
    await fill(log, 3, 297, 220)
    return log


async def test_the_last_byte_of_everything_counts(filled):
    log = filled
    for table, column, where in (
        ("ledger_entries", "leaf", "leaf_index = 519"),
        ("ledger_tiles", "hashes", "(level, tile_index) = (0, 2)"),
        ("ledger_tiles", "hashes", "(level, tile_index) = (1, 0)"),
        ("ledger_checkpoints", "root_hash", "tree_size = 520"),
        ("ledger_checkpoints", "note", "tree_size = 520"),
    ):
        last = await length_of(log, table, column, where) - 1
        await flip(log, table, column, where, last)
        assert await run_pass(log) != {}, table
        await flip(log, table, column, where, last)
    assert await run_pass(log) == {}


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM ledger_entries WHERE leaf_index = 7", (LEAF, 7)),
        ("DELETE FROM ledger_entries WHERE leaf_index = 519", (LEAF, 519)),
        ("DELETE FROM ledger_entries WHERE leaf_index BETWEEN 3 AND 519", (LEAF, 3)),
        ("INSERT INTO ledger_entries VALUES (520, 'x', '{}')", (LEAF, 520)),
        ("DELETE FROM ledger_checkpoints WHERE tree_size = 520", (LEAF, 300)),
        ("DELETE FROM ledger_tiles WHERE level = 0 AND tile_index = 1", (LEAF, 256)),
        ("DELETE FROM ledger_tiles WHERE level = 1", (TILE, 0)),
        (
            "UPDATE ledger_tiles SET hashes = substr(hashes, 1, 32) WHERE level = 0 AND tile_index = 2",
            (LEAF, 513),
        ),
        (
            (
                "UPDATE ledger_entries AS e SET leaf = o.leaf FROM ledger_entries AS o"
                " WHERE (e.leaf_index, o.leaf_index) IN ((4, 5), (5, 4))"
            ),
            (LEAF, 4),
        ),
    ],
)
async def test_what_is_gone_swapped_or_added_is_found(filled, damage, found):
    log = filled
    async with log.damaging() as db:
        await db.execute(damage)
    part, place = found
    for _ in range(2):  # the next pass finds it, too
        assert (await run_pass(log))[part][1] == place


async def test_an_auditor_whose_place_is_lost_begins_again(filled, monkeypatch):
    log = filled
    monkeypatch.setattr(auditing, "LEAVES_MAX", 100)
    await log.turn("ledger.audit_log")
    await log.pool.execute("UPDATE ledger_audit SET frontier = ''")
    assert await run_pass(log) == {}
    await log.turn("ledger.audit_log")
    async with log.damaging() as db:  # another log begins
        await db.execute("TRUNCATE ledger_entries, ledger_tiles, ledger_checkpoints")
    await run_pass(log)
    assert await run_pass(log) == {}


async def test_an_alarm_says_what_it_found_and_is_logged_once(filled):
    log = filled
    await flip(log, "ledger_entries", "leaf", "leaf_index = 3", 0)
    with capture_logs() as lines:
        for _ in range(3):
            await run_pass(log)
    told = [line for line in lines if line["event"] == "ledger_differs"]
    assert [line["place"] for line in told if line["part"] == LEAF] == [3]
    row = await log.pool.fetchrow("SELECT * FROM ledger_differences WHERE part = 'leaf'")
    assert row["detail"] == "hash 3 of tile 0 of level 0 is not that of what is below it"
    kept = await log.pool.fetchval("SELECT count(*) FROM ledger_differences")
    assert kept <= auditing.KEPT_MAX
