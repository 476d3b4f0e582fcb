"""A running system with signed-in users of every kind, for tests that ask who may do what.

with open_test_system(system, database, redis_url) as test_system:
    test_system.http.get("/v1/auth/me", headers=test_system.headers("owner"))
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from handlers.auth.tools import AuthTools
from handlers.contract import Caller
from protocols.values import new_id, now_instant
from tests.support.permission_matrix import LOCKED_OUT
from tests.support.system import System
from tests.support.users import Person, TestUsers, register_users

KNOWN_EVERYWHERE_S = 20
"""By then every process must know that a session is over; usually it takes a second."""


class Socket:
    """The RPC door of one person."""

    def __init__(self, url: str, token: str) -> None:
        self._open = contextlib.ExitStack()
        self._connection: ClientConnection = self._open.enter_context(connect(url, compression=None))
        self._number = 0
        try:
            self.opened = self.ask({"connect": {"token": token}})
        except ConnectionClosed:
            self.close()
            raise

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return the reply of a command; pushes in between are passed over."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, **command}))
        while True:
            for line in str(self._connection.recv(timeout=20)).splitlines():
                reply = json.loads(line)
                if reply.get("id") == self._number:
                    return reply

    def close(self) -> None:
        self._open.close()


@dataclass
class TestSystem:
    """A running system, its users, and what they hold open."""

    __test__ = False

    running: System
    http: httpx.Client
    users: TestUsers
    sockets: dict[str, Socket] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Of those who are locked out."""

    def token(self, who: str) -> str:
        """Return an access token; nothing for somebody anonymous."""
        if who == "anonymous" or who in self.tokens:
            return self.tokens.get(who, "")
        return self.users.people[who].token

    def start_new_session(self, who: str) -> None:
        """Sign in again once the server refuses the token of the session that `who` has ended."""
        await_refusal(self, who, "session_over")
        self.users.people[who].sign_in()
        self.hang_up(who)

    def socket(self, who: str) -> Socket:
        """Return the open socket of `who`."""
        if who not in self.sockets:
            self.sockets[who] = Socket(self.running.websocket_url, self.token(who))
            assert "connect" in self.sockets[who].opened, self.sockets[who].opened
        return self.sockets[who]

    def ask(self, who: str, command: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to `who`."""
        return self.socket(who).ask(command)

    def hang_up(self, who: str) -> None:
        """Close the socket of `who`, if there is one."""
        if who in self.sockets:
            self.sockets.pop(who).close()

    def headers(self, who: str) -> dict[str, str]:
        """Return the headers that say who calls."""
        token = self.token(who)
        return {"Authorization": f"Bearer {token}"} if token else {}


@contextlib.contextmanager
def open_test_system(running: System, database: str, redis_url: str) -> Iterator[TestSystem]:
    """Yield the system with its users registered, and three of them locked out."""
    with httpx.Client(base_url=running.base_url, timeout=60, trust_env=False) as http:
        users = register_users(http, database, redis_url)
        users.people["party"] = users.people.pop("user")
        for role in ("other", "banned", "ended"):
            users.people[role] = Person(http, role, (database, redis_url))
            users.people[role].register()
        made = TestSystem(running, http, users)
        lock_out(made)
        yield made
        for who in list(made.sockets):
            made.hang_up(who)


def lock_out(system: TestSystem) -> None:
    """Ban one, end the session of another, and make a token that has expired; wait until they are told so."""
    banned, ended, other = (system.users.people[name] for name in ("banned", "ended", "other"))
    path = f"/v1/users/{banned.user_id}/ban"
    system.http.post(path, json={}, headers=system.headers("admin")).raise_for_status()
    system.http.post("/v1/auth/logout", json={}, headers=ended.headers).raise_for_status()
    keys = AuthTools(system.running.home / "secrets", system.running.base_url, 900)
    caller = Caller(UUID(other.user_id), new_id(), frozenset({"user"}))
    expired, _ = keys.sign_access_token(caller, 0, now_instant() - 3_600_000, now_instant())
    keys.close()
    system.tokens.update(banned=banned.token, ended=ended.token, expired=expired)
    for who, told in LOCKED_OUT.items():
        await_refusal(system, who, told)


def await_refusal(system: TestSystem, who: str, told: str) -> None:
    """Wait until the server refuses the token of `who` with the code `told`."""
    deadline = time.monotonic() + KNOWN_EVERYWHERE_S
    while True:
        answer = system.http.get("/v1/auth/me", headers=system.headers(who))
        if answer.status_code == 401:
            assert answer.json()["code"] == told
            return
        assert time.monotonic() < deadline, f"the token of {who} is still good"
        time.sleep(0.02)
