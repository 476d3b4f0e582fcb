"""The whole object graph of a server process, by hand; a worker's is in `server/worker_wiring.py`."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from handlers.auth.revocations import RevocationWatch
from handlers.auth.scope_tokens import ScopeVerifier
from handlers.auth.tokens import TokenVerifier
from handlers.auth.tools import AuthTools
from handlers.contract import Caller
from handlers.domain import ChannelKinds
from handlers.listings.photos.tools import PhotoTools
from handlers.settings import Settings
from realtime.control import Controls
from realtime.endpoints.emulation import Emulation, new_node
from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.hub import Hub
from realtime.limits import Limits
from server.app import HttpParts, create_app
from server.channels.delegations import DelegatedPermissions
from server.channels.log import ChannelLog
from server.channels.long_polls import LongPollNotifier
from server.channels.permissions import ChannelPermissions
from server.channels.revoked_access import close_on_revocation
from server.commands.application import Application, VerifiedTokens
from server.commands.backlog import watch_backlog
from server.commands.ratelimits import LocalLimits, SharedLimits
from server.commands.table import CommandTable
from server.domains import DOMAINS, Domains, routes_of
from server.foundation import Foundation, open_foundation
from server.http.channels import ChannelSource
from server.http.ops import Ping
from server.http.outer_layer import OuterLayer
from server.http.photos import PhotoPages
from server.http.sockets import mount_emulation, mount_sockets
from server.process.metrics import Metrics
from server.process.socket_figures import socket_figures
from storage.engines.redis import Redis, open_redis, ping_redis
from storage.platform.mailbox_redis import RedisMailbox
from storage.platform.offset_reports_redis import RedisOffsetReports
from storage.platform.presence_redis import RedisPresence
from storage.platform.ratelimits_redis import RateLimitStore
from storage.platform.streams_nats import check_stream, follow_heads
from storage.platform.viewer_counts_redis import RedisViewerCounts


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """What `server.lifecycle` runs."""

    app: OuterLayer
    hub: Hub
    endpoint: SocketEndpoint
    metrics: Metrics


@asynccontextmanager
async def open_server(
    settings: Settings, domains: Domains = DOMAINS, number: int = 0
) -> AsyncIterator[ServerProcess]:
    """Build the server process with this number: sockets and REST on one pipeline."""
    async with open_foundation(settings, f"server-{number}", domains) as base, AsyncExitStack() as stack:
        kinds, keys = base.need(ChannelKinds), base.need(AuthTools).keys
        redis = open_redis(settings.redis_url)  # apart from the handlers' connections
        stack.push_async_callback(redis.aclose)
        log = ChannelLog(base.database, base.epoch, kinds)
        watch = RevocationWatch(base.database, settings.access_token_s)
        verifier = TokenVerifier(keys, settings.url, watch)
        scopes = ScopeVerifier(keys, settings.url, watch, base.database, settings.access_token_s)
        rules = DelegatedPermissions(ChannelPermissions(kinds, base.database), scopes)

        async def verify(token: str, peer: str) -> Caller:
            caller = (await verifier.verify_access_token(token)).caller
            return Caller(caller.user_id, caller.session_id, caller.roles, peer)

        hub = Hub(
            base.bus,
            log,
            Limits() if settings.rate_limits else Limits(commands=None, refusals=None),
            RedisPresence(redis),
            RedisOffsetReports(redis),
            RedisViewerCounts(redis),
            kinds.viewer_group,
        )

        def leaving() -> bool:
            return hub.draining

        close_on_revocation(hub, watch)
        limits = LocalLimits() if settings.rate_limits else None
        table = CommandTable(routes_of(domains), base.pipeline, limits, base.metrics)
        application = Application(VerifiedTokens(verifier), rules, table)
        Controls(hub, application)
        endpoint = SocketEndpoint(hub, application, settings.origins)
        node = new_node()
        mailbox = RedisMailbox(settings.redis_url, node)
        emulation = Emulation(endpoint, mailbox, node)
        shared = SharedLimits(RateLimitStore(redis), base.metrics.limits_without_store.inc)
        polls = LongPollNotifier(hub)
        parts = HttpParts(
            table=table,
            metrics=base.metrics,
            settings=settings,
            verify=verify,
            limits=shared if settings.rate_limits else None,
            jwks=keys.jwks,
            channels=ChannelSource(base.epoch, rules.authorize, log.read, log.heads, polls.watch, leaving),
            pings=_pings(base, redis),
            leaving=leaving,
            notices={"payments": "ok" if settings.stripe_key else "test_money"},
            photos=partial(PhotoPages, base.database.connection, base.need(PhotoTools)),
            extra_handlers=[mount_sockets(endpoint), *mount_emulation(emulation, base.metrics)],
        )
        app = create_app(domains, parts)
        await watch.start()
        stack.push_async_callback(watch.close)
        await hub.start()
        stack.push_async_callback(hub.stop)
        await mailbox.start(emulation.deliver)
        stack.push_async_callback(mailbox.close)
        base.nats.when_connected(lambda client: follow_heads(client, hub.announce_heads))
        base.metrics.follow_hooks(hub.hooks)
        base.metrics.follow_sockets(lambda: socket_figures(hub, emulation))
        _run_beside(stack, watch_backlog(base.pipeline.groups, routes_of(domains), redis, node), "backlog")
        _run_beside(stack, base.metrics.run(), "metrics")
        yield ServerProcess(app, hub, endpoint, base.metrics)


def _pings(base: Foundation, redis: Redis) -> dict[str, Ping]:
    """Return how each part is asked whether it works, by the name that readiness shows."""

    async def ping_stream() -> None:
        await check_stream(base.nats.client)

    return {
        "postgres": base.database.ping,
        "redis": lambda: ping_redis(redis),
        "nats": base.nats.ping,
        "postgres_space": base.database.check_space,
        "nats_stream": ping_stream,
    }


def _run_beside(stack: AsyncExitStack, work: Coroutine[object, object, None], name: str) -> None:
    """Run something until the stack closes."""
    task = asyncio.create_task(work, name=name)
    stack.callback(task.cancel)
