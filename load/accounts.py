"""Accounts for load: sign in N users over REST, registering those who do not exist yet.

The same names are used by every run on the same server, so that only the first run pays for registering.
A server hashes passwords with argon2id, about 60 ms of CPU each: benchmarks with hundreds of sockets share a few dozen
accounts (sockets are what is measured there, not users).
"""

import asyncio
from dataclasses import dataclass

import httpx

from load.client import gather_some

SIGNING_IN_AT_ONCE = 4
"""Requests under way at the same time; the server hashes on few threads."""

PASSPHRASE = "a load test is not a secret"  # noqa: S105 - accounts of a load test on a test server
ATTEMPTS_MAX = 30


class AccountError(Exception):
    """An account could not be signed in; the message holds the server's answer."""


@dataclass(frozen=True, slots=True)
class Account:
    """A signed-in user."""

    user_id: str
    name: str
    token: str


async def sign_in_many(base_url: str, count: int, prefix: str) -> list[Account]:
    """Return `count` signed-in users called `<prefix>-1`, …. Raises AccountError, httpx.TransportError."""
    async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as http:
        jobs = [lambda n=n: sign_in(http, f"{prefix}-{n}") for n in range(1, count + 1)]
        try:
            return await gather_some(jobs, SIGNING_IN_AT_ONCE)
        except* (AccountError, httpx.TransportError) as errors:
            raise errors.exceptions[0] from None


async def sign_in(http: httpx.AsyncClient, name: str) -> Account:
    """Sign one user in, registering it first when it is unknown. Raises AccountError, httpx.TransportError."""
    email = f"{name}@load.example"
    answer = await _post(http, "/v1/auth/login", {"email": email, "password": PASSPHRASE})
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        body = {"email": email, "password": PASSPHRASE, "display_name": name}
        answer = await _post(http, "/v1/auth/register", body)
    if not answer.is_success:
        raise AccountError(f"{name} cannot sign in: HTTP {answer.status_code} {answer.text[:300]}")
    told = answer.json()
    return Account(told["user"]["id"], name, told["tokens"]["access_token"])


async def _post(http: httpx.AsyncClient, path: str, body: dict[str, str]) -> httpx.Response:
    """Post, waiting as long as the server's rate limit asks: all our users share one address."""
    for _ in range(ATTEMPTS_MAX):
        answer = await http.post(path, json=body)
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return answer
        await asyncio.sleep(min(float(answer.headers.get("Retry-After", "1")), 10.0))
    return answer
