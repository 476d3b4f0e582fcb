"""One running system for the acceptance tests that leave it standing, and people to act on it."""

import gc
import warnings
from collections.abc import AsyncIterator, Generator, Iterator

import httpx
import pytest
import pytest_asyncio

from tests.support.system import System, running_system, scratch_home


@pytest.fixture(scope="session")
def shared_system() -> Iterator[System]:
    """Two server processes and a worker on private engines; tests share it and must not stop it."""
    with (
        scratch_home() as home,
        running_system(home, processes=2, environment={"MNBARA_RATE_LIMITS": "off"}) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared_http(shared_system: System) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the shared system."""
    async with httpx.AsyncClient(base_url=shared_system.base_url, timeout=20, trust_env=False) as client:
        yield client


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Collect, at the end of a module, the transports that the SDK leaves behind when its server is killed.

    It forgets a connection that was being made; found later, it would be laid at the door of an innocent test.
    """
    yield
    if nextitem is None or nextitem.path != item.path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
