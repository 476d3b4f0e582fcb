"""Migrations on a real PostgreSQL: order, changed files, held locks, concurrent processes, kill -9, the old numbers."""

import asyncio
import hashlib
import os
import secrets
import signal
import sys
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from storage.platform import migrate as migrations
from storage.platform.migrate import (
    FOLDER,
    MigrationError,
    list_migrations,
    migrate,
    split_statements,
)
from tests.support.engines import url_of_database

ROOT = Path(__file__).parents[3]
PROCESS = """
import asyncio, sys
from pathlib import Path
from storage.platform.migrate import migrate
asyncio.run(migrate(sys.argv[1], Path(sys.argv[2])))
"""
INDEX = """-- outside a transaction
-- Made beside the traffic; not by 'hand'.
CREATE TABLE IF NOT EXISTS trips (day int);
DROP INDEX CONCURRENTLY IF EXISTS trips_day;
CREATE INDEX CONCURRENTLY trips_day ON trips (day);
"""


@pytest_asyncio.fixture(loop_scope="module")
async def empty(engines):
    """The URL of an empty database."""
    name = f"mnbara_test_{os.getpid()}_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(engines.postgres_url)
    await connection.execute(f"CREATE DATABASE {name}")
    yield url_of_database(engines.postgres_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest_asyncio.fixture(loop_scope="module")
async def db(empty):
    """A connection to the empty database."""
    connection = await asyncpg.connect(empty)
    yield connection
    await connection.close()


def write(folder, **files):
    """Write migrations, `t0900_create_a` as the file of nine o'clock."""
    for name, sql in files.items():
        (folder / f"20261127{name.upper()[:5]}{name[5:]}.sql").write_text(sql)


async def names(db):
    return [r["name"] for r in await db.fetch("SELECT name FROM schema_migrations ORDER BY applied_at, name")]


async def until(db, query, *arguments):
    """Ask until the answer is not empty; return it."""
    while not (found := await db.fetchval(query, *arguments)):
        await asyncio.sleep(0.02)
    return found


async def start(url, folder):
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, url, str(folder), cwd=ROOT)


async def test_files_are_applied_once_by_name_an_older_one_later_too(empty, db, tmp_path):
    write(tmp_path, t0900_create_a="CREATE TABLE a ()", t1100_create_b="ALTER TABLE a ADD b int")
    assert await migrate(empty, tmp_path) == ["20261127T0900_create_a", "20261127T1100_create_b"]
    write(tmp_path, t1200_create_d="ALTER TABLE c ADD d int", t1000_create_c="CREATE TABLE c ()")
    assert await migrate(empty, tmp_path) == ["20261127T1000_create_c", "20261127T1200_create_d"]
    assert await migrate(empty, tmp_path) == []
    assert len(await names(db)) == 4


async def test_changed_file_is_refused_before_anything_is_applied(empty, db, tmp_path):
    write(tmp_path, t0900_create_a="CREATE TABLE a ()")
    await migrate(empty, tmp_path)
    write(tmp_path, t0800_create_z="CREATE TABLE z ()", t0900_create_a="CREATE TABLE a (b int)")
    with pytest.raises(MigrationError, match=r"^20261127T0900_create_a changed after it was applied"):
        await migrate(empty, tmp_path)
    assert await db.fetchval("SELECT to_regclass('z')") is None


@pytest.mark.parametrize(
    "name",
    ["0025_create_trips", "20261127_create_trips", "20261327T0900_create_trips", "20261127T0900_trips",
     "20261127T0900_Create_trips", "20261127T2460_create_trips", "20261127T0900_create_trips "],
)  # fmt: skip
def test_bad_name_is_refused_with_a_good_one(tmp_path, name):
    (tmp_path / f"{name}.sql").touch()
    with pytest.raises(
        MigrationError, match=rf"^{name}.sql is no name .* \d{{8}}T\d{{4}}_<verb>_<noun>.sql$"
    ):
        list_migrations(tmp_path)


async def test_failing_file_leaves_nothing_and_those_before_it_stay(empty, db, tmp_path):
    write(tmp_path, t0900_create_a="CREATE TABLE a ()", t1000_create_b="CREATE TABLE b (); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty, tmp_path)
    assert await names(db) == ["20261127T0900_create_a"]
    assert await db.fetchval("SELECT to_regclass('b')") is None


async def test_held_lock_is_waited_for_in_short_turns(empty, db, tmp_path, monkeypatch):
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(migrations, "LOCK_ATTEMPTS", 1_000_000)
    monkeypatch.setattr(migrations, "LOCK_PAUSE_S", 0.01)
    write(tmp_path, t0900_create_a="CREATE TABLE a ()")
    await migrate(empty, tmp_path)
    write(tmp_path, t1000_alter_a="ALTER TABLE a ADD b int")
    watcher = await asyncpg.connect(empty)
    waits = "SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    async with db.transaction():
        await db.execute("SELECT FROM a")
        waiting = asyncio.create_task(migrate(empty, tmp_path))
        await until(watcher, waits)
        await until(watcher, f"SELECT NOT EXISTS ({waits})")  # it gave up: whoever waited behind it goes on
        await until(watcher, waits)
    assert await waiting == ["20261127T1000_alter_a"]
    await watcher.close()


async def test_lock_that_is_never_released_is_named_and_nothing_is_applied(empty, db, tmp_path, monkeypatch):
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr(migrations, "LOCK_ATTEMPTS", 2)
    monkeypatch.setattr(migrations, "LOCK_PAUSE_S", 0.01)
    write(tmp_path, t0900_create_a="CREATE TABLE a ()")
    await migrate(empty, tmp_path)
    write(tmp_path, t1000_alter_a="CREATE TABLE c (); ALTER TABLE a ADD b int")
    async with db.transaction():
        await db.execute("SELECT FROM a")
        with pytest.raises(MigrationError, match=r"alter_a was not applied: 2 times .* pg_stat_activity"):
            await migrate(empty, tmp_path)
    assert await db.fetchval("SELECT to_regclass('c')") is None
    assert await migrate(empty, tmp_path) == ["20261127T1000_alter_a"]


async def test_processes_that_migrate_at_once_apply_each_file_once(empty, db, tmp_path):
    write(tmp_path, t0900_index_trips=INDEX, t1000_create_a="CREATE TABLE a ()")
    applied = await asyncio.gather(*(migrate(empty, tmp_path) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, 2]
    assert await names(db) == ["20261127T0900_index_trips", "20261127T1000_create_a"]


async def test_killed_within_a_transaction_leaves_nothing_and_the_next_goes_on(empty, db, tmp_path):
    write(
        tmp_path,
        t0900_create_a="CREATE TABLE a ()",
        t1000_create_b="CREATE TABLE b (); SELECT pg_advisory_xact_lock(77)",
    )
    await db.execute("SELECT pg_advisory_lock(77)")
    process = await start(empty, tmp_path)
    await until(db, "SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = 77")
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await db.execute("SELECT pg_advisory_unlock(77)")
    assert await migrate(empty, tmp_path) == ["20261127T1000_create_b"]


async def test_killed_while_it_indexes_leaves_an_invalid_index_and_the_next_makes_it(empty, db, tmp_path):
    write(tmp_path, t0900_create_trips="CREATE TABLE trips (day int)", t1000_index_trips=INDEX)
    writer = await asyncpg.connect(empty)
    await writer.execute("CREATE TABLE trips (day int)")
    (tmp_path / "20261127T0900_create_trips.sql").unlink()
    async with writer.transaction():
        await writer.execute(
            "INSERT INTO trips VALUES (1)"
        )  # the index waits for the end of this transaction
        process = await start(empty, tmp_path)
        backend = await until(db, "SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'virtualxid'")
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        await db.execute("SELECT pg_terminate_backend($1)", backend)  # as the machine dies with it
        await until(db, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", backend)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'trips_day'::regclass"
    assert await db.fetchval(valid) is False
    assert await names(db) == []
    assert await migrate(empty, tmp_path) == ["20261127T1000_index_trips"]
    assert await db.fetchval(valid) is True
    await writer.close()


async def test_invalid_index_that_a_file_keeps_is_refused(empty, db, tmp_path):
    await db.execute("CREATE TABLE trips (day int); INSERT INTO trips VALUES (1), (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await db.execute("CREATE UNIQUE INDEX CONCURRENTLY trips_day ON trips (day)")  # leaves it invalid
    careless = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS trips_day ON trips (day);"
    write(tmp_path, t0900_index_trips="-- outside a transaction\n" + careless)
    with pytest.raises(MigrationError, match="left invalid indexes: trips_day; drop an index"):
        await migrate(empty, tmp_path)
    assert await names(db) == []


async def test_statements_are_cut_at_their_own_semicolons():
    sql = """-- outside a transaction
        -- a comment; with one
        INSERT INTO a VALUES ('it''s; here', E'a\\';', "b;c"); /* d; */
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $f$ SELECT 1; SELECT $$;$$; $f$;
        ; -- the end;
        """
    first, second = split_statements(sql)
    assert first.endswith("""INSERT INTO a VALUES ('it''s; here', E'a\\';', "b;c")""")
    assert second.startswith("/* d; */")
    assert second.endswith("$f$ SELECT 1; SELECT $$;$$; $f$")


async def number_history(db, applied):
    """Write the history as it was when migrations had numbers."""
    await db.execute("DROP TABLE schema_migrations")
    await db.execute(
        "CREATE TABLE schema_migrations (number int PRIMARY KEY, name text NOT NULL,"
        " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    await db.executemany(
        "INSERT INTO schema_migrations VALUES ($1, $2, $3, timestamptz '2026-11-25' + $1::int * interval '1 minute')",
        [(n, f"{n:04}_{m.name.partition('_')[2]}", m.sha256) for n, m in enumerate(applied, start=1)],
    )


async def test_database_with_numbered_history_goes_on_with_all_it_had(database, pool):
    files = sorted(FOLDER.glob("*.sql"))[:24]
    content = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    assert content == "7ceab29a337aa31a7589f837780ada08a6d9ee6ca57f089779dc1c9d21ebe057", (
        "what databases have applied must not change, nor its order"
    )
    async with pool.acquire() as db:
        applied = list_migrations()
        await number_history(db, applied)
        assert await migrate(database) == []
        rows = await db.fetch("SELECT * FROM schema_migrations ORDER BY applied_at")
        assert [(r["name"], r["sha256"]) for r in rows] == [(m.name, m.sha256) for m in applied]
        assert [r["applied_at"].minute for r in rows[:3]] == [1, 2, 3]
        assert await migrate(database) == []


async def test_numbered_history_that_no_file_explains_is_refused_and_kept(database, pool):
    async with pool.acquire() as db:
        applied = list_migrations()
        await number_history(db, applied)
        await db.execute("UPDATE schema_migrations SET sha256 = 'other' WHERE number = 3")
        with pytest.raises(
            MigrationError, match=r"^0003_create_listings: applied, but no file has that content"
        ):
            await migrate(database)
        assert await db.fetchval("SELECT name FROM schema_migrations WHERE number = 2") == "0002_create_users"
