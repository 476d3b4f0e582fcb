"""Engines for tests: one private set per run, and fresh databases copied from a migrated template.

The data folder `.local/test` is kept from run to run, so that a warm start takes half a second. A second run
in the same clone takes `.local/test-2`, and so on. Engines named in MNBARA_POSTGRES_URL, MNBARA_REDIS_URL and
MNBARA_NATS_URL are used instead of private ones.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import nats
import redis.asyncio

from server.local.engines import EngineError, EngineUrls, LocalEngines
from storage.platform.migrate import list_migrations, migrate

ROOT = Path(__file__).parents[2]
REDIS_DATABASE = 9
"""Tests flush their Redis: a number of their own keeps them off the data of a Redis that was given."""


def url_of_database(postgres_url: str, database: str) -> str:
    """Return the URL with another database name."""
    parts = urlsplit(postgres_url)
    return urlunsplit(parts._replace(path=f"/{database}")).replace("postgresql:/?", "postgresql:///?")


def redis_database(redis_url: str) -> str:
    """Return the URL of the tests' numbered database of that Redis."""
    return f"{redis_url.split('?', 1)[0]}?db={REDIS_DATABASE}"


@contextlib.contextmanager
def free_home(folder: Path) -> Iterator[Path]:
    """Take the first of `folder`, `folder-2`, … that no other run uses; hold it until the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 17):
        home = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        with home.with_name(f"{home.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield home
            return
    raise EngineError(f"sixteen test runs hold {folder} and its siblings; end one")


@contextlib.contextmanager
def running_engines(folder: Path = ROOT / ".local" / "test") -> Iterator[EngineUrls]:
    """Run the engines that are not given by the environment; yield the URLs of all three."""
    given = EngineUrls(*(os.environ.get(f"MNBARA_{name}_URL", "") for name in ("POSTGRES", "REDIS", "NATS")))
    if given.postgres_url and given.redis_url and given.nats_url:
        yield given
        return
    with free_home(folder) as home:
        engines = LocalEngines(home, fsync=False)
        private = engines.start()
        try:
            yield EngineUrls(
                postgres_url=given.postgres_url or private.postgres_url,
                redis_url=given.redis_url or private.redis_url,
                nats_url=given.nats_url or private.nats_url,
            )
        finally:
            engines.stop()


async def ensure_template(postgres_url: str) -> str:
    """Return the name of a database with every migration applied, made once per set of migrations."""
    digest = hashlib.sha256("".join(m.name + m.sha256 for m in list_migrations()).encode()).hexdigest()[:16]
    name = f"mnbara_template_{digest}"
    connection = await asyncpg.connect(postgres_url)
    try:
        # Two runs against one given PostgreSQL build the template one after the other.
        await connection.execute("SELECT pg_advisory_lock(7731)")
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return name
        building = f"{name}_building"
        await connection.execute(f"DROP DATABASE IF EXISTS {building}")
        await connection.execute(f"CREATE DATABASE {building}")
        await migrate(url_of_database(postgres_url, building))
        await connection.execute(f"ALTER DATABASE {building} RENAME TO {name}")
    finally:
        await connection.close()
    return name


@contextlib.asynccontextmanager
async def fresh_database(postgres_url: str) -> AsyncIterator[str]:
    """Yield the URL of a new, migrated, empty database; drop it afterwards, with what is connected."""
    template = await ensure_template(postgres_url)
    name = f"mnbara_test_{os.getpid()}_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        # The copy carries the template's epoch; every database has its own.
        database_url = url_of_database(postgres_url, name)
        copy = await asyncpg.connect(database_url)
        await copy.execute("UPDATE database_epoch SET epoch = $1", secrets.token_hex(4))
        await copy.close()
        yield database_url
    finally:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.close()


async def flush_redis(redis_url: str) -> None:
    """Empty the tests' database of that Redis."""
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.flushdb()
    await client.aclose()


async def delete_nats_streams(nats_url: str) -> None:
    """Delete every JetStream stream of that NATS, with its consumers."""
    client = await nats.connect(nats_url)
    stream_admin = client.jetstream()
    for stream in await stream_admin.streams_info():
        await stream_admin.delete_stream(stream.config.name or "")
    await client.close()
