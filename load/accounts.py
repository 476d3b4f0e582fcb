"""Accounts for load: sign in N users over REST, registering those who do not exist yet.

The same names are used by every run on the same server, so that only the first run pays for registering: a server
hashes passwords with argon2id, about 60 ms of CPU each. Benchmarks keep the refresh tokens of their users in a file
and exchange them next time, which costs the server a few milliseconds.
"""

import asyncio
import contextlib
import ipaddress
import json
import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from load.waiting import gather_some

SIGNING_IN_AT_ONCE = 8
"""Requests under way at the same time; the server hashes on few threads."""

PASSPHRASE = "a load test is not a secret"  # noqa: S105 - accounts of a load test on a test server
ATTEMPTS_MAX = 30
HOSTS_PER_NET = 250

_TLS = ssl.create_default_context()
"""Made once: it costs milliseconds, and every user has an HTTP client."""


class AccountError(Exception):
    """An account could not be signed in; the message holds the server's answer."""


@dataclass(frozen=True, slots=True)
class Account:
    """A signed-in user."""

    user_id: str
    name: str
    token: str
    refresh_token: str


def http_client(base_url: str, number: int = 0) -> httpx.AsyncClient:
    """Return an HTTP client; on loopback, user `number` > 0 calls from an address of its own, 127.0.1.1 and up.

    Rate limits count by address, and fifty users behind one address are not what they are made for.
    """
    host = urlsplit(base_url).hostname or ""
    address = None
    if number and _is_loopback(host):
        net, last = divmod(number - 1, HOSTS_PER_NET)
        address = f"127.0.{net + 1}.{last + 1}"
    transport = httpx.AsyncHTTPTransport(verify=_TLS, local_address=address)
    return httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False, transport=transport)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.version == 4 and address.is_loopback
    return host == "localhost"


async def sign_in_many(base_url: str, count: int, prefix: str, kept: Path | None = None) -> list[Account]:
    """Return `count` signed-in users called `<prefix>-1`, …; `kept` is where their refresh tokens are kept.

    Raises: AccountError, httpx.TransportError.
    """
    tokens = _read_kept(kept) if kept is not None else {}
    async with http_client(base_url) as http:

        async def enter(name: str) -> Account:
            account = None
            if name in tokens:
                with contextlib.suppress(AccountError):
                    account = await _refresh(http, name, *tokens[name])
            account = account or await sign_in(http, name)
            tokens[name] = [account.user_id, account.refresh_token]
            return account

        names = [f"{prefix}-{number}" for number in range(1, count + 1)]
        try:
            return await gather_some([partial(enter, name) for name in names], SIGNING_IN_AT_ONCE)
        finally:
            if kept is not None:
                _write_kept(kept, tokens)


def _read_kept(path: Path) -> dict[str, list[str]]:
    with contextlib.suppress(OSError, ValueError):
        tokens: dict[str, list[str]] = json.loads(path.read_text())
        return tokens
    return {}


def _write_kept(path: Path, tokens: dict[str, list[str]]) -> None:
    path.write_text(json.dumps(tokens))


async def sign_in(http: httpx.AsyncClient, name: str) -> Account:
    """Register a user, or sign it in when it exists. Raises AccountError, httpx.TransportError."""
    body = {"email": f"{name}@load.example", "password": PASSPHRASE}
    answer = await _post(http, "/v1/auth/register", body | {"display_name": name})
    if answer.status_code == httpx.codes.CONFLICT:
        answer = await _post(http, "/v1/auth/login", body)
    if not answer.is_success:
        raise AccountError(f"{name} cannot sign in: HTTP {answer.status_code} {answer.text[:300]}")
    told = answer.json()
    tokens = told["tokens"]
    return Account(told["user"]["id"], name, tokens["access_token"], tokens["refresh_token"])


async def _refresh(http: httpx.AsyncClient, name: str, user_id: str, refresh_token: str) -> Account:
    answer = await _post(http, "/v1/auth/refresh", {"refresh_token": refresh_token})
    if not answer.is_success:
        raise AccountError(f"{name} cannot refresh: HTTP {answer.status_code}")
    tokens = answer.json()["tokens"]
    return Account(user_id, name, tokens["access_token"], tokens["refresh_token"])


async def _post(http: httpx.AsyncClient, path: str, body: dict[str, str]) -> httpx.Response:
    """Post, waiting as long as the server's rate limit asks."""
    for _ in range(ATTEMPTS_MAX):
        answer = await http.post(path, json=body)
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return answer
        await asyncio.sleep(min(float(answer.headers.get("Retry-After", "1")), 10.0))
    return answer
