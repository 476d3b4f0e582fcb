"""Pages for operators: is the process alive, can it work, what does it measure."""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, Collection, Mapping

from protocols.errors import NotAllowed
from protocols.values import to_json
from server.http.exchange import Incoming, Reply
from server.process.metrics import Metrics

PING_TIMEOUT_S = 1.0
"""A part that does not answer within it counts as failing."""

READY_KEPT_S = 0.2
"""How long an answer about readiness serves everybody who asks: strangers cannot make us ping faster."""

Ping = Callable[[], Awaitable[object]]
"""Asks a part whether it works; raises when not."""

_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"})


class Health:
    """Live: the process answers. Ready: it can serve. Degraded: parts fail that it can serve without."""

    def __init__(
        self,
        parts: Mapping[str, Ping],
        required: Collection[str],
        metrics: Metrics,
        leaving: Callable[[], bool],
        notices: Mapping[str, str] | None = None,
    ) -> None:
        """Name the parts, how to ask each, and those without which nothing works; `leaving`: the process will end.

        `notices` are shown among the parts' states: what works, and is not what it may be taken for.
        """
        self._notices = dict(notices or {})
        self._parts = dict(parts)
        self._required = frozenset(required)
        self._leaving = leaving
        self._metrics = metrics
        self._known: dict[str, str] = {}
        self._known_until = 0.0
        self._lock = asyncio.Lock()

    async def live(self, _request: Incoming) -> Reply:
        """Answer that this process runs."""
        return Reply(200, b'{"status":"live"}')

    async def ready(self, _request: Incoming) -> Reply:
        """Answer 200 when the required parts work, else 503, with each part's state; 503 also when the process leaves.

        `degraded` names the parts that fail. One that all processes lack would else take all of them out of service.
        """
        if self._leaving():
            return Reply(503, b'{"status":"leaving","degraded":[],"parts":{}}')
        states = await self.look()
        degraded = [name for name, state in states.items() if state != "ok"]
        ready = self._required.isdisjoint(degraded)
        body = to_json(
            {
                "status": "ready" if ready else "not_ready",
                "degraded": degraded,
                "parts": states | self._notices,
            }
        )
        return Reply(200 if ready else 503, body)

    async def look(self) -> dict[str, str]:
        """Return each part's state: `ok`, `timeout` or `failing`. Asks all at once, at most every `READY_KEPT_S`."""
        async with self._lock:
            if time.monotonic() >= self._known_until:
                states = await asyncio.gather(*(_ask(ping) for ping in self._parts.values()))
                self._known = dict(zip(self._parts, states, strict=True))
                self._known_until = time.monotonic() + READY_KEPT_S
                for name, state in self._known.items():
                    self._metrics.up.labels(name).set(state == "ok")
        return self._known


async def _ask(ping: Ping) -> str:
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            await ping()
    except TimeoutError:
        return "timeout"
    except Exception:  # noqa: BLE001 - why a part fails is for the log of that part, not for strangers
        return "failing"
    return "ok"


class MetricsPage:
    """`/metrics` for scrapers on this machine, and for who has the operators' token."""

    def __init__(self, metrics: Metrics, health: Health, ops_token: str) -> None:
        """With an empty token only this machine may scrape."""
        self._metrics = metrics
        self._health = health
        self._expected = f"bearer {ops_token}".encode() if ops_token else b""

    async def __call__(self, request: Incoming) -> Reply:
        """Return the metrics of all processes. Raises NotAllowed."""
        if not (self._has_token(request) or is_local(request)):
            raise NotAllowed("Metrics are for this machine, or for the operators' token")
        await self._health.look()
        self._metrics.sample()
        text = await asyncio.to_thread(self._metrics.render)
        return Reply(200, text, media_type=b"text/plain; version=0.0.4; charset=utf-8")

    def _has_token(self, request: Incoming) -> bool:
        given = request.headers.get(b"authorization", b"")
        given = given[:7].lower() + given[7:]
        return bool(self._expected) and hmac.compare_digest(given, self._expected)


def is_local(request: Incoming) -> bool:
    """Whether the peer is this machine and speaks for itself; a proxy here speaks for somebody elsewhere."""
    if not _FORWARDED.isdisjoint(request.headers):
        return False
    try:
        return ipaddress.ip_address(request.peer).is_loopback
    except ValueError:
        return False
