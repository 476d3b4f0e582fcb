"""Fill an empty market: each domain adds its demo data by commands, so that the first visitor can bid.

`python -m server.cli.seed` is run by every `./mnbara up`. It is safe to run twice, or twice at once: one run waits for
the other, and a domain adds only what is missing. Killed anywhere, the next run goes on.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from msgspec import Struct

from handlers.contract import Caller
from handlers.settings import Settings, SettingsError
from server.commands.outcomes import OutcomeWriter
from server.commands.pipeline import Pipeline
from server.domains import DOMAINS, ROUTES, reactions_of
from server.foundation import open_tools
from storage.engines.postgres import Connection, Database, open_database
from storage.engines.redis import open_redis
from storage.platform.events_postgres import read_epoch

_LOCK = 0x73656564
"""Advisory lock of the database: "seed"."""

LOOK_AGAIN_S = 0.2


class SeededMarket:
    """`handlers.domain.DemoMarket`: commands through a pipeline whose publications nobody hears."""

    def __init__(self, database: Database, pipeline: Pipeline) -> None:
        """Start without people."""
        self.people: dict[str, Caller] = {}
        self._database = database
        self._pipeline = pipeline
        self._routes = {route.name: route for route in ROUTES}

    async def run(self, route: str, command: Struct, caller: Caller) -> None:
        """Run a command. Raises the route's refusals."""
        await self._pipeline.run(self._routes[route], command, caller)

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection to look at what is there."""
        return self._database.connection()


async def seed(settings: Settings) -> str:
    """Add what is missing and return a sentence that says how much."""
    async with _open_market(settings) as market, market.connection() as lock:
        while True:
            if await lock.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                break
            await asyncio.sleep(LOOK_AGAIN_S)  # a statement that waits would run into its time limit
        try:
            added = [await domain.demo(market) for domain in DOMAINS if domain.demo is not None]
        finally:
            await lock.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return f"added: {', '.join(added)}"


@asynccontextmanager
async def _open_market(settings: Settings) -> AsyncIterator[SeededMarket]:
    database = await open_database(settings.postgres_url, size_max=3)
    redis = open_redis(settings.redis_url)
    try:
        async with database.connection() as db:
            epoch = await read_epoch(db)
        writer = OutcomeWriter(reactions_of(DOMAINS))
        async with open_tools(settings, database, redis) as tools:
            pipeline = Pipeline(database, redis, epoch, lambda _: None, ROUTES, tools, writer=writer)
            yield SeededMarket(database, pipeline)
    finally:
        await redis.aclose()
        await database.close()


def main() -> int:
    """Seed the database of the settings; 2 for a bad setting."""
    say = partial(print, flush=True)
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        say(f"mnbara: {error}", file=sys.stderr)
        return 2
    say(asyncio.run(seed(settings)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
