"""The HTTP application: every path of the server, generated from the route tables, behind the outer door."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar import Litestar, Request

from handlers.domain import Domain
from handlers.settings import Settings
from protocols.goods import PHOTOS_PATH
from protocols.values import to_json
from server.commands.errors_out import list_errors
from server.commands.ratelimits import SharedLimits
from server.commands.table import CommandTable
from server.http.callers import Callers, Verify
from server.http.channels import PATH as CHANNELS_PATH
from server.http.channels import ChannelPolls, ChannelSource
from server.http.compression import Compressor
from server.http.exchange import (
    FrameworkAnswer,
    Handler,
    Incoming,
    Reply,
    endpoint,
    framework_refusal,
    refusal_reply,
)
from server.http.ops import Health, MetricsPage, Ping
from server.http.outer_layer import OuterLayer
from server.http.pages import Page, front_page, schema_page
from server.http.photos import PhotoPages
from server.http.routes import handlers_by_path
from server.process.metrics import Metrics
from server.schemas.asyncapi import build_asyncapi
from server.schemas.openapi import build_openapi

JWKS_KEPT_S = 300
"""How long verifiers may keep our public keys; a new key is published that long before it signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """What the HTTP application is made of; `server/wiring` fills it."""

    table: CommandTable
    metrics: Metrics
    settings: Settings
    verify: Verify
    limits: SharedLimits | None
    """None = everybody may call as fast as they can (`MNBARA_RATE_LIMITS=off`)."""
    jwks: Callable[[], Mapping[str, Any]]
    channels: ChannelSource
    pings: Mapping[str, Ping]
    required: Collection[str] = ("postgres",)
    """Parts of `pings` without which the process serves nothing: only they make it not ready."""
    notices: Mapping[str, str] = field(default_factory=dict)
    """Shown among the states of the parts: what works, and is not what it may be taken for."""
    photos: Callable[[Callers], PhotoPages] | None = None
    """Makes the page of photos' files; None where there is no store of them."""
    extra_handlers: Sequence[Any] = field(default=())
    """Further handlers of the framework: the realtime endpoints, webhooks."""
    leaving: Callable[[], bool] = lambda: False
    """Whether the process is about to end: not ready any more, and clients are asked to connect elsewhere."""


def create_app(domains: Sequence[Domain], parts: HttpParts) -> OuterLayer:
    """Return the ASGI application; websockets and lifespan go to the framework untouched."""
    callers = Callers(parts.verify, parts.limits)
    compress = Compressor().apply
    paths: dict[str, Mapping[str, Handler]] = handlers_by_path(parts.table, callers)
    paths.update({path: {"GET": page} for path, page in _pages(domains, parts, callers).items()})
    app = Litestar(
        [
            *(
                endpoint(path, handlers, parts.metrics, compress, access_log=parts.settings.access_log)
                for path, handlers in paths.items()
            ),
            *parts.extra_handlers,
        ],
        exception_handlers={Exception: _answer_framework_error(parts.metrics)},
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    secure = parts.settings.public_url.startswith("https://")
    return OuterLayer(app, parts.settings.allowed_origins, secure=secure, leaving=parts.leaving)


def _pages(domains: Sequence[Domain], parts: HttpParts, callers: Callers) -> dict[str, Handler]:
    """Return what is served beside the route tables, by path."""
    routes = [command.route for command in parts.table.commands.values()]
    health = Health(parts.pings, parts.required, parts.metrics, parts.leaving, parts.notices)
    settings = parts.settings

    async def show_keys(_request: Incoming) -> Reply:
        kept = b"public, max-age=%d" % JWKS_KEPT_S
        return Reply(200, to_json(parts.jwks()), [(b"cache-control", kept)])

    photos = {} if parts.photos is None else {PHOTOS_PATH: parts.photos(callers)}
    return {
        **photos,
        "/": front_page(),
        "/schema": schema_page(),
        "/schema/openapi.json": Page(to_json(build_openapi(routes, settings.url)), b"application/json"),
        "/schema/asyncapi.json": Page(to_json(build_asyncapi(domains, settings.url)), b"application/json"),
        "/v1/errors": Page(list_errors(), b"application/json"),
        "/.well-known/jwks.json": show_keys,
        CHANNELS_PATH: ChannelPolls(parts.channels, callers, parts.metrics),
        "/health/live": health.live,
        "/health/ready": health.ready,
        "/metrics": MetricsPage(parts.metrics, health, settings.ops_token),
    }


def _answer_framework_error(metrics: Metrics) -> Callable[[Request[Any, Any, Any], Exception], Any]:
    """Return the framework's handler of its own refusals: no such path, a bad Host header."""

    def answer(request: Request[Any, Any, Any], error: Exception) -> FrameworkAnswer:
        scope: Any = request.scope
        reply = refusal_reply(framework_refusal(error), scope["trace_id"], "framework")
        metrics.http_requests.labels("unmatched", "other", reply.status).inc()
        return FrameworkAnswer(reply)

    return answer
