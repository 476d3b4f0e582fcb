"""What every process stands on: the engines, the tools of all domains, and the pipeline."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from handlers.contract import Stores, tool_of
from handlers.domain import ChannelKinds, PartKind, ToolContext
from handlers.settings import Settings
from server.commands.outcomes import OutcomeWriter
from server.commands.pipeline import Pipeline
from server.domains import DOMAINS, Domains, channels_of, reactions_of, routes_of, tools_of
from server.http.ops import Ping
from server.process.metrics import Metrics
from server.process.sharing import shared_folder
from storage.engines.nats import NatsLink
from storage.engines.postgres import Database, open_database
from storage.engines.redis import Redis, open_redis, ping_redis
from storage.platform.bus_redis import RedisBus
from storage.platform.events_postgres import read_epoch
from storage.platform.streams_nats import check_stream
from storage.platform.vault import Vault
from storage.platform.wakes_nats import Wakes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Foundation:
    """Open engines and tools; closed in reverse."""

    domains: Domains
    database: Database
    bus: RedisBus
    nats: NatsLink
    epoch: str
    tools: dict[type, Any]
    pipeline: Pipeline
    metrics: Metrics

    def need(self, kind: type[T]) -> T:
        """Return a tool by its type."""
        return tool_of(self.tools, kind)

    def pings(self, redis: Redis) -> dict[str, Ping]:
        """Return how each part is asked whether it works, by the name that readiness shows."""

        async def ping_stream() -> None:
            await check_stream(self.nats.client)

        async def ask(part: PartKind) -> str:
            async with self.database.connection() as db:
                return await part.state(Stores(db, redis, self.epoch, self.tools))

        parts = {part.name: partial(ask, part) for domain in self.domains for part in domain.parts}
        return {
            **parts,
            "postgres": self.database.ping,
            "redis": lambda: ping_redis(redis),
            "nats": self.nats.ping,
            "postgres_space": self.database.check_space,
            "nats_stream": ping_stream,
        }


def check_settings(settings: Settings, domains: Domains = DOMAINS) -> None:
    """Refuse settings that a tool could not be opened with, before any engine is asked. Raises SettingsError."""
    for tool in tools_of(domains):
        if tool.check is not None:
            tool.check(settings)


@asynccontextmanager
async def open_tools(
    settings: Settings, database: Database, redis: Redis, domains: Domains = DOMAINS
) -> AsyncIterator[dict[type, Any]]:
    """Open the tools of all domains, by type; close them in reverse. Raises SettingsError, KeyFileError."""
    kinds = ChannelKinds(channels_of(domains))
    context = ToolContext(settings, database, redis, kinds)
    tools: dict[type, Any] = {Vault: Vault(settings.secrets_folder), ChannelKinds: kinds}
    async with AsyncExitStack() as stack:
        for tool in tools_of(domains):
            tools[tool.kind] = await stack.enter_async_context(tool.open(context))
        yield tools


@asynccontextmanager
async def open_foundation(settings: Settings, name: str, domains: Domains) -> AsyncIterator[Foundation]:
    """Open everything; `name` is that of the process, as NATS and metrics show it.

    Raises: SettingsError, KeyFileError, Fault.
    """
    check_settings(settings, domains)
    metrics = Metrics(shared_folder(), name)
    async with AsyncExitStack() as stack:
        database = await open_database(settings.postgres_url)
        stack.push_async_callback(database.close)
        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        async with database.connection() as db:
            epoch = await read_epoch(db)
        nats = NatsLink(settings.nats_url, name)
        stack.push_async_callback(nats.close)
        bus = RedisBus(settings.redis_url)
        tools = await stack.enter_async_context(open_tools(settings, database, redis, domains))
        writer = OutcomeWriter(reactions_of(domains), Wakes(nats))
        pipeline = Pipeline(
            database,
            redis,
            epoch,
            bus.publish,
            routes_of(domains),
            tools,
            metrics.commit_observer,
            writer=writer,
        )
        pipeline.start()
        stack.push_async_callback(pipeline.close)
        yield Foundation(domains, database, bus, nats, epoch, tools, pipeline, metrics)
