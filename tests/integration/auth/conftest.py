"""One process's auth per module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.auth_system import AuthHouse, open_house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AuthHouse]:
    made = await open_house(database, redis_url, tmp_path_factory.mktemp("secrets"))
    yield made
    await made.close()
