"""Migrations: numbered SQL files, each applied once, in order, in a transaction of its own.

Files are `storage/migrations/NNNN_<verb>_<noun>.sql`. An applied file must not change (its hash is kept).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import asyncpg

FOLDER = Path(__file__).parents[1] / "migrations"
_LOCK = 0x6D6E6261  # "mnba": two servers that start together migrate one after the other


class MigrationError(Exception):
    """The database and the migration files disagree; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name, SQL and hash."""

    number: int
    name: str
    sql: str
    sha256: str


def list_migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return all migrations in order. Raises MigrationError when numbers repeat or leave gaps."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        sql = path.read_text(encoding="utf-8")
        number = int(path.name.split("_", 1)[0])
        found.append(Migration(number, path.stem, sql, hashlib.sha256(sql.encode()).hexdigest()))
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"migration numbers must be 1, 2, 3 …: {[m.name for m in found]}")
    return found


async def migrate(postgres_url: str) -> list[str]:
    """Bring the database up to date; return the names of the migrations applied now. Safe to run concurrently."""
    connection = await asyncpg.connect(postgres_url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, name text NOT NULL,"
            " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await connection.fetch("SELECT number, sha256 FROM schema_migrations")
        applied = {row["number"]: row["sha256"] for row in rows}
        names = []
        for migration in list_migrations():
            if migration.number in applied:
                if applied[migration.number] != migration.sha256:
                    raise MigrationError(f"{migration.name} changed after it was applied; add a new one")
                continue
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.sha256,
                )
            names.append(migration.name)
        return names
    finally:
        await connection.close()
