"""The whole object graph of a process, by hand, on one screen: a server process and a worker process."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from handlers.auth.revocations import RevocationWatch, tells_of_access
from handlers.auth.scope_tokens import ScopeVerifier
from handlers.auth.tokens import TokenVerifier, Verified
from handlers.auth.tools import KeyedAuthTools
from handlers.contract import Caller
from handlers.listings.photos.tools import PhotoTools
from protocols.topics import PERSONAL_PREFIX, Entry, Kind
from protocols.wire.centrifuge import UnsubscribeCode
from realtime.control import Controls
from realtime.hub import Hub
from realtime.limits import Limits
from realtime.transport.emulation import Emulation, new_node
from realtime.transport.endpoint import SocketEndpoint
from server.app import HttpParts, create_app
from server.channels.delegations import DelegatedPermissions
from server.channels.log import ChannelLog
from server.channels.long_polls import LongPollNotifier
from server.channels.permissions import ChannelPermissions
from server.commands.application import Application, CheckedToken
from server.commands.pipeline import Pipeline
from server.commands.ratelimits import LocalLimits, SharedLimits
from server.commands.table import CommandTable
from server.domains import ROUTES, TIMERS, URGENT
from server.http.channels import ChannelSource
from server.http.outer_layer import OuterLayer
from server.http.photos import PhotoPages
from server.http.sockets import mount_emulation, mount_sockets
from server.process.metrics import Metrics
from server.process.settings import Settings, SettingsError
from server.worker.bid_backlog import watch_bids
from server.worker.relay import Relay
from server.worker.timers import Timers
from storage.auctions.backlog_redis import BacklogStore
from storage.auctions.lookups import read_ticker
from storage.auth.sessions_postgres import Revocation
from storage.engines.nats import NatsLink
from storage.engines.objects import Objects, open_objects
from storage.engines.postgres import Database, open_database
from storage.engines.redis import open_redis, ping_redis
from storage.listings.lookups import read_stock
from storage.platform.bus_redis import RedisBus
from storage.platform.events_postgres import read_epoch
from storage.platform.mailbox_redis import RedisMailbox
from storage.platform.offset_reports_redis import RedisOffsetReports
from storage.platform.presence_redis import RedisPresence
from storage.platform.ratelimits_redis import RateLimitStore
from storage.platform.streams_nats import follow_heads
from storage.platform.vault import Vault
from storage.platform.viewer_counts_redis import RedisViewerCounts

SESSION_OVER = (4501, "session over")
"""Close code for sockets of an ended session: terminal, because only a new sign-in helps."""

ACCESS_CHANGED = (4401, "access changed")
"""Close code after a role change: the client reconnects with a refreshed token."""

WORD_OVER = (UnsubscribeCode.EXPIRED, "token expired")
"""Unsubscribe code for who follows a channel on the word of such an account: clients ask for another token."""


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

    database: Database
    relay: Relay
    timers: Timers
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class _Foundation:
    """What both kinds of process stand on."""

    database: Database
    bus: RedisBus
    nats: NatsLink
    epoch: str
    auth: KeyedAuthTools
    pipeline: Pipeline
    photos: PhotoTools
    metrics: Metrics


def _open_photos(settings: Settings) -> Objects:
    """Open the place of photos. Raises SettingsError when its folder cannot be made or written."""
    try:
        return open_objects(settings.photos_place)
    except OSError as error:
        folder = settings.photos_place.folder
        detail = (
            f"MNBARA_PHOTOS_URL must lead to a folder that can be written; {folder} cannot: {error.strerror}"
        )
        raise SettingsError(detail) from error


@asynccontextmanager
async def _lay_foundation(settings: Settings, name: str) -> AsyncIterator[_Foundation]:
    """Open the engines and the pipeline; close them in reverse."""
    metrics = Metrics(Path(settings.metrics_folder) if settings.metrics_folder else None)
    photos = PhotoTools(_open_photos(settings))
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
        auth = KeyedAuthTools(
            settings.secrets_folder,
            settings.url,
            settings.access_token_s,
            limit_attempts=settings.rate_limits,
        )
        stack.callback(auth.close)
        vault = Vault(settings.secrets_folder)
        pipeline = Pipeline(
            database,
            redis,
            epoch,
            bus.publish,
            ROUTES,
            auth,
            metrics.commit_observer,
            vault=vault,
            photos=photos,
        )
        pipeline.start()
        stack.push_async_callback(pipeline.close)
        yield _Foundation(database, bus, nats, epoch, auth, pipeline, photos, metrics)


@asynccontextmanager
async def open_server(settings: Settings) -> AsyncIterator[ServerProcess]:
    """Build a server process: both doors on one pipeline."""
    async with _lay_foundation(settings, "server") as base, AsyncExitStack() as stack:
        log = ChannelLog(base.database, base.epoch, {Kind.TICKER: read_ticker, Kind.STOCK: read_stock})
        watch = RevocationWatch(base.database, settings.access_token_s)
        verifier = TokenVerifier(base.auth.keys, settings.url, watch)
        scopes = ScopeVerifier(base.auth.keys, settings.url, watch, base.database, settings.access_token_s)
        rules = DelegatedPermissions(ChannelPermissions(log), scopes)

        async def verify(token: str, peer: str) -> Caller:
            caller = (await verifier.verify_access_token(token)).caller
            return Caller(caller.user_id, caller.session_id, caller.roles, peer)

        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        bounds = Limits() if settings.rate_limits else Limits(commands=None, refusals=None)
        hub = Hub(
            base.bus, log, bounds, RedisPresence(redis), RedisOffsetReports(redis), RedisViewerCounts(redis)
        )

        def leaving() -> bool:
            return hub.draining

        join_watch(hub, watch)
        polls = LongPollNotifier(hub)
        limits = LocalLimits() if settings.rate_limits else None
        table = CommandTable(ROUTES, base.pipeline, limits, base.metrics)
        gate = Application(VerifiedTokens(verifier), rules, table)
        Controls(hub, gate)
        endpoint = SocketEndpoint(hub, gate, settings.origins)
        node = new_node()
        mailbox = RedisMailbox(settings.redis_url, node)
        emulation = Emulation(endpoint, mailbox, node)
        shared = SharedLimits(RateLimitStore(redis), base.metrics.limits_without_store.inc)
        app = create_app(
            HttpParts(
                table=table,
                metrics=base.metrics,
                settings=settings,
                verify=verify,
                limits=shared if settings.rate_limits else None,
                jwks=base.auth.keys.jwks,
                channels=ChannelSource(base.epoch, rules.authorize, log.read, polls.watch, leaving),
                pings={
                    "postgres": base.database.ping,
                    "redis": lambda: ping_redis(redis),
                    "nats": base.nats.ping,
                },
                leaving=leaving,
                photos=partial(PhotoPages, base.database.connection, base.photos),
                extra_handlers=[mount_sockets(endpoint), *mount_emulation(emulation, base.metrics)],
            )
        )
        await watch.start()
        stack.push_async_callback(watch.close)
        await hub.start()
        stack.push_async_callback(hub.stop)
        await mailbox.start(emulation.deliver)
        stack.push_async_callback(mailbox.close)
        base.nats.when_connected(lambda client: follow_heads(client, hub.announce_heads))
        base.metrics.follow_hooks(hub.hooks)
        base.metrics.follow_sockets(lambda: socket_figures(hub, emulation))
        _run_beside(stack, watch_bids(base.pipeline.groups, BacklogStore(redis, node)), "bid-backlog")
        _run_beside(stack, base.metrics.run(), "metrics")
        yield ServerProcess(app, hub, endpoint, base.metrics)


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[WorkerProcess]:
    """Build a worker process: relay and timers."""
    async with _lay_foundation(settings, "worker") as base:
        await base.bus.start(_hear_nothing, lambda: None)
        try:
            lateness = base.metrics.timer_lateness.observe
            timers = Timers(base.database, base.pipeline, TIMERS, lateness, urgent=URGENT)
            relay = Relay(base.database, base.nats, timers.yield_to_urgent)
            yield WorkerProcess(base.database, relay, timers, base.metrics)
        finally:
            await base.bus.close()


def _run_beside(stack: AsyncExitStack, work: Coroutine[object, object, None], name: str) -> None:
    """Run something until the stack closes."""
    task = asyncio.create_task(work, name=name)
    stack.callback(task.cancel)


class VerifiedTokens:
    """Access tokens as the gate asks for them."""

    def __init__(self, verifier: TokenVerifier) -> None:
        """Ask this verifier."""
        self._verifier = verifier

    def check_now(self, token: str) -> CheckedToken | None:
        """Return what the token says, or None when this process has to look for ended sessions first."""
        verified = self._verifier.verify_now(token)
        return None if verified is None else self._checked(verified)

    async def check(self, token: str) -> CheckedToken:
        """Return what the token says."""
        return self._checked(await self._verifier.verify_access_token(token))

    def _checked(self, verified: Verified) -> CheckedToken:
        return CheckedToken(verified.caller, verified.expires_at_s, partial(self._verifier.confirm, verified))


def join_watch(hub: Hub, watch: RevocationWatch) -> None:
    """Close what lost access, and have the watch look when a personal channel says that some did."""
    watch.on_revoked = partial(close_sockets, hub)
    hub.observe(PERSONAL_PREFIX, lambda _, entry: watch.hint() if tells_of_access(entry.data) else None)


def close_sockets(hub: Hub, revoked: Sequence[Revocation]) -> None:
    """End the sockets whose access was taken away, in this process."""
    for revocation in revoked:
        if revocation.session_id is not None:
            hub.disconnect_session(str(revocation.session_id), *SESSION_OVER)
            hub.end_grants_of_session(str(revocation.session_id), *WORD_OVER)
        elif revocation.token_id is not None:
            hub.end_grants_of_token(str(revocation.token_id), *WORD_OVER)
        else:
            hub.disconnect_user(str(revocation.user_id), *ACCESS_CHANGED)
            hub.end_grants_of_user(str(revocation.user_id), *WORD_OVER)


def socket_figures(hub: Hub, emulation: Emulation) -> dict[str, float]:
    """Return the realtime core's counters under the names that metrics show."""
    counters = hub.counters
    streams = emulation.streams_by_transport()
    connections = len(hub.connections)
    return {
        "connections": connections,
        "connections_websocket": max(0, connections - sum(streams.values())),
        **{f"connections_{transport}": count for transport, count in streams.items()},
        "subscriptions": hub.subscriptions(),
        "queue_bytes": hub.bytes_queued(),
        "deliveries": counters.deliveries,
        "slow_cuts": counters.slow_cuts,
        **{f"refused_{reason}": count for reason, count in counters.refused.items()},
    }


def _hear_nothing(_channel: str, _entries: Sequence[Entry]) -> None:
    """Workers publish and have no readers."""
