"""Migrations: SQL files in `storage/migrations`, each applied once, in the order of their names.

A name is `YYYYMMDDTHHMM_<verb>_<noun>.sql`, the UTC minute in which the file was begun, so that two people write
migrations side by side without a common number. An applied file must not change (its hash is kept). A file that is
older than the newest applied one is applied, too.

A file runs in a transaction. One whose first line is `-- outside a transaction` runs statement by statement outside of
one, as CREATE INDEX CONCURRENTLY needs. If the process is killed in between, the next run starts that file again from
its first statement; therefore every statement must do no harm the second time:

    -- outside a transaction
    DROP INDEX CONCURRENTLY IF EXISTS trips_by_day;
    CREATE INDEX CONCURRENTLY trips_by_day ON trips (day);

The drop matters: a killed CREATE INDEX CONCURRENTLY leaves an invalid index, which IF NOT EXISTS would keep.
Decision 111.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

FOLDER = Path(__file__).parents[1] / "migrations"

OUTSIDE = "-- outside a transaction\n"
"""The first line of a file that runs outside a transaction."""

LOCK_TIMEOUT_MS = 3_000
"""How long a statement of a transaction waits for a lock; others who need the table wait behind it."""

LOCK_ATTEMPTS = 5
"""How often a migration that meets a held lock is tried."""

LOCK_PAUSE_S = 2.0
"""The pause between two attempts, in which those who waited behind the migration go on."""

TURN_PAUSE_S = 0.2
"""How often a process looks whether another one has finished migrating."""

_LOCK = 0x6D6E6261  # "mnba": processes that start together migrate one after the other
_NAME = re.compile(r"(\d{8}T\d{4})_[a-z]+_[a-z0-9_]+", re.ASCII)
_STATEMENT = re.compile(
    r"""(?: --[^\n]* | /\*.*?\*/ | [eE]'(?:\\.|[^'\\])*' | '[^']*' | "[^"]*" | \$(\w*)\$.*?\$\1\$ | [^;] )+""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


class MigrationError(Exception):
    """The database and the migration files disagree; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name without `.sql`, its SQL and hash."""

    name: str
    sql: str
    sha256: str


def list_migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return all migrations in order. Raises MigrationError when a file has no name of a migration."""
    found = []
    for path in sorted(folder.glob("*.sql"), key=lambda path: path.stem):
        if not _is_name(path.stem):
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M")
            raise MigrationError(f"{path.name} is no name of a migration; write {now}_<verb>_<noun>.sql")
        sql = path.read_text(encoding="utf-8")
        found.append(Migration(path.stem, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return found


def split_statements(sql: str) -> list[str]:
    """Return the statements of a file without their semicolons; a comment within a comment is not understood."""
    return [
        statement[0].strip()
        for statement in _STATEMENT.finditer(sql)
        if _COMMENT.sub("", statement[0]).strip()
    ]


async def migrate(postgres_url: str, folder: Path = FOLDER) -> list[str]:
    """Bring the database up to date; return the names of the migrations applied now.

    Several processes may do this at once, and one that is killed leaves a database from which the next goes on.
    Raises: MigrationError, before anything is applied or naming the file that was not.
    """
    migrations = list_migrations(folder)
    connection = await asyncpg.connect(postgres_url, timeout=10)
    try:
        await _take_turn(connection)
        await _prepare_history(connection, migrations)
        rows = await connection.fetch("SELECT name, sha256 FROM schema_migrations")
        applied = {row["name"]: row["sha256"] for row in rows}
        for migration in migrations:
            if applied.get(migration.name, migration.sha256) != migration.sha256:
                raise MigrationError(f"{migration.name} changed after it was applied; add a new one")
        missing = [migration for migration in migrations if migration.name not in applied]
        for migration in missing:
            if migration.sql.startswith(OUTSIDE):
                await _apply_outside(connection, migration)
            else:
                await _apply_patiently(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.close()


def _is_name(stem: str) -> bool:
    match = _NAME.fullmatch(stem)
    try:
        return bool(match and datetime.strptime(match[1], "%Y%m%dT%H%M").replace(tzinfo=UTC))
    except ValueError:
        return False


async def _take_turn(connection: asyncpg.Connection) -> None:
    """Wait until nobody else migrates; the turn ends with the connection.

    It asks again and again: a statement that waits for the lock would hold a snapshot, and CREATE INDEX CONCURRENTLY
    of the other process would wait for that.
    """
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 - see above
        await asyncio.sleep(TURN_PAUSE_S)


async def _prepare_history(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> None:
    """Make the table of applied migrations, or rename those in it that were applied when migrations had numbers."""
    async with connection.transaction():
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY,"
            " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        numbered = await connection.fetchval(
            "SELECT 1 FROM pg_attribute WHERE attrelid = 'schema_migrations'::regclass AND attname = 'number'"
            " AND NOT attisdropped"
        )
        if not numbered:
            return
        await connection.executemany(
            "UPDATE schema_migrations SET name = $1 WHERE sha256 = $2 AND substr(name, 6) = $3",
            [(m.name, m.sha256, m.name.partition("_")[2]) for m in migrations],
        )
        strange = await connection.fetch(
            r"SELECT name FROM schema_migrations WHERE name ~ '^\d{4}_' ORDER BY 1"
        )
        if strange:
            names = ", ".join(row["name"] for row in strange)
            raise MigrationError(
                f"{names}: applied, but no file has that content; use the files it was applied from"
            )
        await connection.execute(
            "ALTER TABLE schema_migrations DROP COLUMN number, ADD PRIMARY KEY (name)"  # the old key was the number
        )


async def _apply_patiently(connection: asyncpg.Connection, migration: Migration) -> None:
    """Apply a file in a transaction; let others go first when they hold its locks. Raises MigrationError."""
    for attempt in range(LOCK_ATTEMPTS):
        if attempt:
            await asyncio.sleep(LOCK_PAUSE_S)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
                await connection.execute(migration.sql)
                await _record(connection, migration)
        except asyncpg.LockNotAvailableError:
            continue
        return
    raise MigrationError(
        f"{migration.name} was not applied: {LOCK_ATTEMPTS} times others held its locks for {LOCK_TIMEOUT_MS} ms; end"
        " the long transactions that pg_stat_activity shows, and migrate again"
    )


async def _apply_outside(connection: asyncpg.Connection, migration: Migration) -> None:
    """Apply a file statement by statement, without a bound on waiting: concurrent statements hold up nobody.

    Raises: MigrationError when it leaves an invalid index.
    """
    for statement in split_statements(migration.sql):
        await connection.execute(statement)
    rows = await connection.fetch(
        "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid"
    )
    invalid = [
        row["relname"] for row in rows if re.search(rf"\b{re.escape(row['relname'])}\b", migration.sql)
    ]
    if invalid:
        raise MigrationError(
            f"{migration.name} left invalid indexes: {', '.join(invalid)}; drop an index before it is made"
        )
    await _record(connection, migration)


async def _record(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", migration.name, migration.sha256
    )
