"""A shop: the listings routes behind the real pipeline on real PostgreSQL, called with JSON as a client would."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from handlers.contract import ANONYMOUS, Caller
from handlers.listings import DOMAIN, ROUTES
from handlers.listings.photos.tools import PhotoTools
from protocols.values import new_id
from server.commands.decoding import StructDecoder
from server.commands.outcomes import OutcomeWriter
from server.commands.pipeline import Pipeline, check_permission
from server.domains import reactions_of
from server.worker.reactions import Reactions
from storage.engines.objects import Place, open_objects
from storage.engines.postgres import Database, open_database

BAG = {"title": "Leather bag", "description": "Hand made.", "category": "bags", "condition": "used"}


class Shop:
    """Calls routes by verb; answers are plain JSON values."""

    def __init__(self, database: Database, redis: Redis, pool: asyncpg.Pool, photos: PhotoTools) -> None:
        self.published: list[Any] = []
        """What went to channels: (channel, entries) in order."""
        self.database = database
        self.photos = photos
        reactions = reactions_of((DOMAIN,))
        self.pipeline = Pipeline(
            database,
            redis,
            "epoch",
            self.published.extend,
            ROUTES,
            {PhotoTools: photos},
            writer=OutcomeWriter(reactions),
        )
        self.reactions = Reactions(database, self.pipeline, reactions)
        self.pool = pool
        self.routes = {route.verb: route for route in ROUTES}
        self.decoders = {route.verb: StructDecoder(route.command) for route in ROUTES}

    def command(self, verb: str, /, **fields: Any) -> Any:
        return self.decoders[verb].decode(msgspec.json.encode(fields))

    async def call(self, verb: str, caller: Caller = ANONYMOUS, /, **fields: Any) -> Any:
        check_permission(self.routes[verb], caller)
        answer = await self.pipeline.run(self.routes[verb], self.command(verb, **fields), caller)
        assert answer.status == self.routes[verb].status
        return None if answer.body == b"null" else msgspec.json.decode(answer.body)

    async def react(self) -> None:
        """Run the reactions that wait."""
        for name in reactions_of((DOMAIN,)):
            while await self.reactions.turn(name):
                pass

    async def create(self, seller: Caller, /, **fields: Any) -> Any:
        return await self.call("create_listing", seller, **{**BAG, **fields})

    async def search(self, **fields: Any) -> Any:
        return await self.call("search_listings", **fields)

    async def walk(self, **fields: Any) -> list[Any]:
        """All items of a search, page by page."""
        items: list[Any] = []
        page = await self.search(**fields)
        while True:
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            page = await self.search(**fields, cursor=page["next_cursor"])

    async def snapshot(self) -> list[Any]:
        """Everything that a refused command must leave alone."""
        listings = await self.pool.fetch("SELECT l::text FROM listings l ORDER BY listing_id")
        held = await self.pool.fetch("SELECT r::text FROM stock_reservations r ORDER BY reservation_id")
        events = await self.pool.fetch("SELECT stream, number FROM events ORDER BY stream, number")
        return [tuple(row) for row in (*listings, *held, *events)]

    async def events(self, listing_id: str) -> list[Any]:
        rows = await self.pool.fetch(
            "SELECT number, type, data FROM events WHERE stream = $1 ORDER BY number",
            f"listings:{listing_id}",
        )
        return [(row["number"], row["type"], msgspec.json.decode(row["data"])) for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(
    database: str, redis: Redis, pool: asyncpg.Pool, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    opened = await open_database(database)
    photos = PhotoTools(open_objects(Place(folder=tmp_path_factory.mktemp("photos"))))
    made = Shop(opened, redis, pool, photos)
    made.pipeline.start()
    yield made
    await made.pipeline.close()
    await opened.close()


@pytest_asyncio.fixture
async def empty_shop(shop: Shop) -> Shop:
    """The shop with nothing in it."""
    await shop.pool.execute("TRUNCATE listings, saved_searches, events, streams, timers CASCADE")
    return shop


@pytest.fixture
def seller() -> Caller:
    return Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))


@pytest.fixture
def stranger() -> Caller:
    return Caller(user_id=UUID(int=7 << 76), session_id=new_id(), roles=frozenset({"user"}))
