"""One process's auth per module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.auth_system import AuthTestSystem, open_test_system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(
    database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AuthTestSystem]:
    made = await open_test_system(database, redis_url, tmp_path_factory.mktemp("secrets"))
    yield made
    await made.close()
