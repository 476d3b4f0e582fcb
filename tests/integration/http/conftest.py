"""A whole door for each test module: real PostgreSQL, Redis, pipeline and uvicorn on a loopback port."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio
import structlog
import uvicorn
from redis.asyncio import Redis

from handlers.contract import Caller, Route
from handlers.domain import Domain
from handlers.settings import Settings
from protocols.errors import NotAllowed, TemporarilyUnavailable, Unauthenticated, UnknownChannel
from protocols.topics import Entry
from protocols.values import new_id
from realtime.ports import ChannelRule, Lane
from server.app import HttpParts, create_app
from server.channels.log import ChannelLog
from server.commands.pipeline import Pipeline
from server.commands.ratelimits import LocalLimits, SharedLimits
from server.commands.table import CommandTable
from server.http.channels import ChannelSource
from server.http.protocol import BoundedHttp
from server.process.metrics import Metrics
from storage.engines.postgres import open_database
from storage.engines.redis import open_redis
from storage.platform.events_postgres import read_epoch
from storage.platform.ratelimits_redis import RateLimitStore
from tests.support.counters import create_counters
from tests.support.notes import ROUTES, create_notes

OPS_TOKEN = "ops-token-of-the-tests"


@pytest.fixture(scope="package", autouse=True)
def plain_logs():
    """Tracebacks without local variables: the pretty ones take a second each."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()


class Watchers:
    """Wakes polls by what the pipeline publishes."""

    def __init__(self) -> None:
        self.events: dict[str, set[asyncio.Event]] = {}

    def deliver(self, publications: Sequence[tuple[str, Sequence[Entry]]]) -> None:
        for channel, _ in publications:
            for event in self.events.get(channel, ()):
                event.set()

    @contextlib.asynccontextmanager
    async def watch(self, channel: str) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        self.events.setdefault(channel, set()).add(event)
        try:
            yield event
        finally:
            self.events[channel].discard(event)
            if not self.events[channel]:
                del self.events[channel]


@dataclass
class TestSystem:
    """The door under test and what stands behind it."""

    __test__ = False

    url: str
    table: CommandTable
    pipeline: Pipeline
    metrics: Metrics
    pool: asyncpg.Pool
    watchers: Watchers
    callers: dict[str, Caller]
    broken: set[str] = field(default_factory=set)
    """Parts whose ping fails."""

    def sign_in(self, *roles: str) -> tuple[Caller, dict[str, str]]:
        """Return a new user and the headers of a request of theirs."""
        caller = Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user", *roles}))
        token = f"token-{caller.user_id}"
        self.callers[token] = caller
        return caller, {"Authorization": f"Bearer {token}"}

    async def counter(self) -> UUID:
        """Return a new counter at zero."""
        counter_id = new_id()
        await create_counters(self.pool, counter_id)
        return counter_id


@contextlib.asynccontextmanager
async def serving(app: object) -> AsyncIterator[str]:
    """Serve an ASGI application on a free loopback port."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            http=BoundedHttp,
            log_config=None,
            proxy_headers=False,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def fail_if_away(token: str) -> None:
    """The token `away` is one that cannot be looked up."""
    if token == "away":
        raise TemporarilyUnavailable("Try again") from ConnectionRefusedError("nobody listens at db")


@contextlib.asynccontextmanager
async def running_system(
    database: str,
    redis_url: str,
    pool: asyncpg.Pool,
    routes: Sequence[Route] = ROUTES,
    **changes: object,
) -> AsyncIterator[TestSystem]:
    """Build a door; `changes` go into the settings."""
    settings = dataclasses.replace(
        Settings(rate_limits=False, ops_token=OPS_TOKEN, allowed_origins="https://app.example"),
        **changes,
    )
    opened = await open_database(database)
    redis: Redis = open_redis(redis_url)
    async with opened.connection() as db:
        epoch = await read_epoch(db)
    watchers = Watchers()
    metrics = Metrics()
    pipeline = Pipeline(opened, redis, epoch, watchers.deliver, routes, None, metrics.commit_observer)
    pipeline.start()
    local = LocalLimits() if settings.rate_limits else None
    table = CommandTable(routes, pipeline, local, metrics)
    callers: dict[str, Caller] = {}
    broken: set[str] = set()

    async def verify(token: str, ip: str) -> Caller:
        fail_if_away(token)
        if token not in callers:
            raise Unauthenticated("This token is not valid")
        return callers[token]

    async def authorize(caller: Caller, channel: str, _token: str) -> ChannelRule:
        if channel.startswith("ticker:"):
            return ChannelRule(Lane.LATEST)
        if channel.startswith("personal:#") and channel != f"personal:#{caller.user_id}":
            raise NotAllowed
        if not channel.startswith(("auctions:", "personal:#")):
            raise UnknownChannel
        return ChannelRule(Lane.REPLAYED)

    async def ping(name: str) -> None:
        if name in broken:
            raise TemporarilyUnavailable("postgres://user:secret@host is away")
        if f"{name} hangs" in broken:
            await asyncio.sleep(30)

    log = ChannelLog(opened, epoch, {})
    app = create_app(
        [Domain(name="notes", routes=tuple(r for r in routes if r.domain == "notes"))],
        HttpParts(
            table=table,
            metrics=metrics,
            settings=settings,
            verify=verify,
            limits=SharedLimits(RateLimitStore(redis), metrics.limits_without_store.inc)
            if settings.rate_limits
            else None,
            jwks=lambda: {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "1"}]},
            channels=ChannelSource(epoch, authorize, log.read, log.heads, watchers.watch),
            pings={"database": lambda: ping("database"), "redis": redis.ping, "third": lambda: ping("third")},
            required=("database",),
        ),
    )
    await create_notes(pool)
    await create_counters(pool)
    async with serving(app) as url:
        yield TestSystem(url, table, pipeline, metrics, pool, watchers, callers, broken)
    await pipeline.close()
    await redis.aclose()
    await opened.close()
    assert not watchers.events, "a poll left its channel followed"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(database: str, redis_url: str, pool: asyncpg.Pool) -> AsyncIterator[TestSystem]:
    async with running_system(database, redis_url, pool) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(door: TestSystem) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=door.url, timeout=20) as client:
        yield client


@pytest.fixture
def key() -> dict[str, str]:
    """A fresh Idempotency-Key header."""
    return {"Idempotency-Key": str(new_id())}
