"""Who calls over HTTP, and whether their budget allows it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from handlers.contract import Caller
from protocols.budgets import Verdict, seconds_up
from protocols.errors import Refusal, Unauthenticated
from server.commands.ratelimits import SharedLimits
from server.http.exchange import Incoming

Verify = Callable[[str, str], Awaitable[Caller]]
"""`(access token, peer address) -> Caller`; raises Unauthenticated."""

_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]{1,8192}=*)")


class Callers:
    """Reads the Authorization header and takes from budgets."""

    def __init__(self, verify: Verify, limits: SharedLimits | None) -> None:
        """Use a verifier; `limits` of None lets everybody call as fast as they can."""
        self._verify = verify
        self._limits = limits

    async def admit(self, request: Incoming, cost: int) -> Caller:
        """Return the caller after taking `cost` from their budget; the answer will carry the limit headers.

        Raises: Unauthenticated, RateLimited. A bad token takes from the address's budget.
        """
        try:
            caller = await self._read_caller(request)
        except Refusal:
            await self.admit_anonymous(request, cost)
            raise
        await self._take(request, caller, cost)
        return caller

    async def admit_anonymous(self, request: Incoming, cost: int) -> Caller:
        """Return an anonymous caller whatever the Authorization header says. Raises RateLimited.

        For signing in and refreshing, where an expired token is what the client comes with.
        """
        caller = Caller(remote_ip=request.peer)
        await self._take(request, caller, cost)
        return caller

    async def _read_caller(self, request: Incoming) -> Caller:
        if b"authorization" not in request.headers:
            return Caller(remote_ip=request.peer)
        bearer = _BEARER.fullmatch(request.header(b"authorization"))
        if bearer is None:
            _challenge(request, b"invalid_request")
            raise Unauthenticated("The Authorization header must be `Bearer <access token>`")
        try:
            caller = await self._verify(bearer[1], request.peer)
        except Unauthenticated:
            _challenge(request, b"invalid_token")
            raise
        return caller if caller.remote_ip else replace(caller, remote_ip=request.peer)

    async def _take(self, request: Incoming, caller: Caller, cost: int) -> None:
        if self._limits is None or not cost:
            return
        verdict = await self._limits.take(caller, cost)
        _tell(request, verdict)
        verdict.check()


def _challenge(request: Incoming, reason: bytes) -> None:
    request.answer_headers.append((b"www-authenticate", b'Bearer realm="mnbara", error="%s"' % reason))


def _tell(request: Incoming, verdict: Verdict) -> None:
    """Put the limit headers on the answer. Source: IETF draft ratelimit-headers, sections 3 and 4."""
    rule = verdict.rule
    name = rule.name.encode()
    request.answer_headers += [
        (
            b"ratelimit-policy",
            b'"%s";q=%d;w=%d' % (name, rule.limit, rule.limit * rule.period_s // rule.count),
        ),
        (b"ratelimit", b'"%s";r=%d;t=%d' % (name, verdict.remaining, seconds_up(verdict.reset_us))),
    ]
