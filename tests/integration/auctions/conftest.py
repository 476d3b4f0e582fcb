"""A market on real engines: the product's pipeline and timers with the auction routes, and a clock that tests set."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

import server.commands.pipeline
from handlers.auctions import DOMAIN, ROUTES
from handlers.contract import ANONYMOUS, Caller, Route
from protocols.auctions.commands import EVENTS, PERSONAL_EVENTS, BidReceipt, OpenAuction, PlaceBid
from protocols.topics import Entry
from protocols.values import new_id, now_instant
from server.commands.idempotency import Answer
from server.commands.pipeline import Pipeline, check_permission
from storage.engines.postgres import open_database
from storage.platform.events_postgres import read_epoch
from storage.platform.vault import Vault
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)

BY_VERB: dict[str, Route] = {route.verb: route for route in ROUTES}
HOUR_MS = 3_600_000


def moment(instant_ms: int) -> datetime:
    return datetime.fromtimestamp(instant_ms / 1000, UTC)


class Market:
    """Calls commands as users do, and reads what they left behind."""

    def __init__(
        self, pipeline: Pipeline, pool: asyncpg.Pool, published: list[tuple[str, Sequence[Entry]]]
    ) -> None:
        self.pipeline = pipeline
        self.pool = pool
        self.published = published
        self.secrets = Path()
        """The folder of the vault's keys."""
        self.clock_ms: int | None = None
        """The instant the pipeline sees; None lets it see the real one."""

    def now_ms(self) -> int:
        return now_instant() if self.clock_ms is None else self.clock_ms

    async def call(self, verb: str, caller: Caller = ANONYMOUS, **fields: Any) -> Any:
        """Run a command from its JSON form, as RPC and REST do, and return its decoded reply."""
        route = BY_VERB[verb]
        check_permission(route, caller)
        command = msgspec.convert(fields, route.command)
        answer = await self.pipeline.run(route, command, caller)
        return msgspec.json.decode(answer.body, type=route.reply)

    def bid(
        self, auction_id: UUID, caller: Caller, amount: int, key: str = "", quantity: int = 1
    ) -> "asyncio.Future[Answer]":
        """Submit a bid; bids of one tick share a commit, in order."""
        command = PlaceBid(auction_id=auction_id, amount=amount, key=key or str(new_id()), quantity=quantity)
        return asyncio.get_running_loop().create_task(
            self.pipeline.run(BY_VERB["place_bid"], command, caller)
        )

    async def bid_now(self, auction_id: UUID, caller: Caller, amount: int) -> BidReceipt:
        answer = await self.bid(auction_id, caller, amount)
        return msgspec.json.decode(answer.body, type=BidReceipt)

    async def new_listings(self, seller: Caller, count: int, status: str = "active") -> list[UUID]:
        ids = [new_id() for _ in range(count)]
        await self.pool.execute(
            "INSERT INTO listings (listing_id, seller_id, status, title, description, category, condition,"
            " created_at_ms, updated_at_ms)"
            " SELECT listing_id, $2, $3, 'A thing', 'As it is', 'other', 'used', 0, 0"
            " FROM unnest($1::uuid[]) AS new (listing_id)",
            ids,
            seller.id,
            status,
        )
        return ids

    async def new_auction(self, seller: Caller, **terms: Any) -> UUID:
        """Open an auction in EUR from 10.00 for two days unless told otherwise; return its id."""
        (listing_id,) = await self.new_listings(seller, 1)
        return (await self.open(seller, listing_id, **terms)).id

    async def open(self, seller: Caller, listing_id: UUID, **terms: Any) -> Any:
        fields = {
            "listing_id": listing_id,
            "format": "english",
            "currency": "EUR",
            "starting_price": 10_00,
            "ends_at": moment(self.now_ms() + 48 * HOUR_MS),
            **terms,
        }
        command = msgspec.convert(fields, OpenAuction)
        route = BY_VERB["open_auction"]
        check_permission(route, seller)
        answer = await self.pipeline.run(route, command, seller)
        return msgspec.json.decode(answer.body, type=route.reply)

    async def run_timers(self) -> int:
        """Run every timer that is due now, as the worker does; return how many ran."""
        ran = 0
        for kind, handler in TIMERS.items():
            while done := await self.pipeline.run_timers(kind, handler, 500):
                ran += len(done)
        return ran

    async def run_timers_once(self, kind: str) -> int:
        """Run the due timers of one kind once; return how many those were."""
        return len(await self.pipeline.run_timers(kind, TIMERS[kind], 500))

    async def timers_of(self, auction_id: UUID) -> list[str]:
        rows = await self.pool.fetch("SELECT kind FROM timers WHERE ref = $1 ORDER BY kind", auction_id)
        return [row["kind"] for row in rows]

    async def events(self, stream: str) -> list[dict[str, Any]]:
        """Return a stream's events from number 1, checked to be without gaps."""
        rows = await self.pool.fetch(
            "SELECT number, data FROM events WHERE stream = $1 ORDER BY number", stream
        )
        assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
        events = [msgspec.json.decode(row["data"]) for row in rows]
        for event in events:
            words = EVENTS | PERSONAL_EVENTS
            word = words[event["type"]]
            left_out = set(
                word.__struct_fields__[-len(word.__struct_defaults__) :]
                if word.__struct_config__.omit_defaults
                else ()
            )
            left_out |= {f.name for f in msgspec.structs.fields(word) if f.default is msgspec.UNSET}
            assert {"type", "at", *word.__struct_fields__} - left_out <= set(event)
            assert set(event) <= {"type", "at", *word.__struct_fields__}
            msgspec.convert(event, word)
        return events

    async def auction_events(self, auction_id: UUID) -> list[dict[str, Any]]:
        return await self.events(f"auctions:{auction_id}")

    async def personal_events(self, caller: Caller) -> list[dict[str, Any]]:
        return await self.events(f"personal:#{caller.id}")

    async def row(self, auction_id: UUID) -> asyncpg.Record:
        row = await self.pool.fetchrow("SELECT * FROM auctions WHERE auction_id = $1", auction_id)
        assert row is not None
        return row

    def tickers(self, auction_id: UUID) -> list[tuple[int, dict[str, Any]]]:
        return [
            (entry.number, msgspec.json.decode(entry.data))
            for channel, entries in self.published
            for entry in entries
            if channel == f"ticker:{auction_id}"
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened_market(
    database: str, redis: Redis, pool: asyncpg.Pool, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    opened = await open_database(database)
    async with opened.connection() as db:
        epoch = await read_epoch(db)
    published: list[tuple[str, Sequence[Entry]]] = []
    secrets = tmp_path_factory.mktemp("secrets")
    vault = Vault(secrets)
    pipeline = Pipeline(opened, redis, epoch, published.extend, ROUTES, {Vault: vault})
    market = Market(pipeline, pool, published)
    market.secrets = secrets
    pipeline.start()
    yield market
    await pipeline.close()
    await opened.close()


@pytest.fixture
def market(opened_market: Market, monkeypatch: pytest.MonkeyPatch) -> Market:
    opened_market.clock_ms = None
    opened_market.published.clear()
    monkeypatch.setattr(server.commands.pipeline, "now_instant", opened_market.now_ms)
    return opened_market


@pytest_asyncio.fixture
async def second_market(market: Market, database: str, redis: Redis) -> AsyncIterator[Market]:
    """The same market as another server process sees it."""
    opened = await open_database(database)
    pipeline = Pipeline(opened, redis, "epoch", lambda _: None, ROUTES, {Vault: Vault(market.secrets)})
    pipeline.start()
    yield Market(pipeline, market.pool, [])
    await pipeline.close()
    await opened.close()


async def new_user(market: Market) -> Caller:
    """A caller who has an account."""
    caller = new_caller()
    await market.pool.execute(
        "INSERT INTO users (user_id, email, password_hash, display_name, created_at_ms)"
        " VALUES ($1, $2, '', 'Somebody', 0)",
        caller.id,
        f"{caller.id}@example.com",
    )
    return caller


def new_caller() -> Caller:
    return Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))


@pytest.fixture
def seller() -> Caller:
    return new_caller()


@pytest.fixture
def ann() -> Caller:
    return new_caller()


@pytest.fixture
def bob() -> Caller:
    return new_caller()
