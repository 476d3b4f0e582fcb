"""Fixtures for every test: real engines; per module a fresh database, an emptied Redis, a bare NATS."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from server.local.engines import EngineUrls
from tests.support.engines import (
    delete_nats_streams,
    flush_redis,
    fresh_database,
    redis_database,
    running_engines,
)
from tests.support.system import scratch_home

# The tests start a hundred processes; each would compile every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def engines() -> Iterator[EngineUrls]:
    """Real PostgreSQL, Redis and NATS for this run."""
    with running_engines() as urls:
        yield urls


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home folder of this test's own, for engines or a whole system."""
    with scratch_home() as folder:
        yield folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(engines: EngineUrls) -> AsyncIterator[str]:
    """The URL of a fresh, migrated database of this module's own."""
    async with fresh_database(engines.postgres_url) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to this module's database."""
    made = await asyncpg.create_pool(database, min_size=1, max_size=10)
    yield made
    made.terminate()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis_url(engines: EngineUrls) -> str:
    """The URL of a Redis database that was emptied for this module."""
    url = redis_database(engines.redis_url)
    await flush_redis(url)
    return url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of this module's Redis; answers are bytes."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats_url(engines: EngineUrls) -> str:
    """The URL of a NATS without streams."""
    await delete_nats_streams(engines.nats_url)
    return engines.nats_url
