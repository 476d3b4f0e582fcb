"""The whole object graph of a process, by hand, on one screen: a server process and a worker process."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
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
from protocols.topics import Entry
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
from server.domains import DOMAINS, ROUTES, jobs_of, reactions_of, timers_of
from server.foundation import Foundation, open_foundation
from server.http.channels import ChannelSource
from server.http.outer_layer import OuterLayer
from server.http.photos import PhotoPages
from server.http.sockets import mount_emulation, mount_sockets
from server.process.metrics import Metrics
from server.process.socket_figures import socket_figures
from server.worker.jobs import Jobs
from server.worker.reactions import Reactions
from server.worker.relay import Relay
from server.worker.timers import Timers
from storage.engines.redis import open_redis, ping_redis
from storage.platform.mailbox_redis import RedisMailbox
from storage.platform.offset_reports_redis import RedisOffsetReports
from storage.platform.presence_redis import RedisPresence
from storage.platform.ratelimits_redis import RateLimitStore
from storage.platform.streams_nats import follow_heads
from storage.platform.viewer_counts_redis import RedisViewerCounts
from storage.platform.wakes_nats import Wakes, follow_wakes


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """What `server.lifecycle` runs."""

    app: OuterLayer
    hub: Hub
    endpoint: SocketEndpoint
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """What `server.lifecycle` runs."""

    base: Foundation
    relay: Relay
    timers: Timers
    reactions: Reactions
    jobs: Jobs


@asynccontextmanager
async def open_server(settings: Settings) -> AsyncIterator[ServerProcess]:
    """Build a server process: sockets and REST on one pipeline."""
    async with open_foundation(settings, "server") as base, AsyncExitStack() as stack:
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
        table = CommandTable(ROUTES, base.pipeline, limits, base.metrics)
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
            pings={
                "postgres": base.database.ping,
                "redis": lambda: ping_redis(redis),
                "nats": base.nats.ping,
            },
            leaving=leaving,
            photos=partial(PhotoPages, base.database.connection, base.need(PhotoTools)),
            extra_handlers=[mount_sockets(endpoint), *mount_emulation(emulation, base.metrics)],
        )
        app = create_app(DOMAINS, parts)
        await watch.start()
        stack.push_async_callback(watch.close)
        await hub.start()
        stack.push_async_callback(hub.stop)
        await mailbox.start(emulation.deliver)
        stack.push_async_callback(mailbox.close)
        base.nats.when_connected(lambda client: follow_heads(client, hub.announce_heads))
        base.metrics.follow_hooks(hub.hooks)
        base.metrics.follow_sockets(lambda: socket_figures(hub, emulation))
        _run_beside(stack, watch_backlog(base.pipeline.groups, ROUTES, redis, node), "backlog")
        _run_beside(stack, base.metrics.run(), "metrics")
        yield ServerProcess(app, hub, endpoint, base.metrics)


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[WorkerProcess]:
    """Build a worker process: relay, timers, reactions, jobs."""
    async with open_foundation(settings, "worker") as base:
        await base.bus.start(_ignore_publications, lambda: None)
        try:
            lateness = base.metrics.timer_lateness.observe
            timers = Timers(base.database, base.pipeline, timers_of(DOMAINS), lateness)
            relay = Relay(base.database, base.nats, timers.yield_to_urgent)
            failed, wakes = base.metrics.count_work_failure, Wakes(base.nats)
            reactions = Reactions(
                base.database, base.pipeline, reactions_of(DOMAINS), timers.yield_to_urgent, wakes, failed
            )
            jobs = Jobs(base.database, base.pipeline, jobs_of(DOMAINS), base.tools, wakes, failed)

            def wake(name: str) -> None:
                reactions.dispatcher.wake(name)
                jobs.dispatcher.wake(name)

            base.nats.when_connected(lambda client: follow_wakes(client, wake))
            yield WorkerProcess(base, relay, timers, reactions, jobs)
        finally:
            await base.bus.close()


def _run_beside(stack: AsyncExitStack, work: Coroutine[object, object, None], name: str) -> None:
    """Run something until the stack closes."""
    task = asyncio.create_task(work, name=name)
    stack.callback(task.cancel)


def _ignore_publications(_channel: str, _entries: Sequence[Entry]) -> None:
    """Workers publish and have no readers."""
