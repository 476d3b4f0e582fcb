"""People of every role, and what they know, for tests that walk over the whole interface.

Nothing here knows a route: values are learnt from answers by the name of the field that takes them. A field
`auction_id`, and the `id` of what a POST to `/v1/auctions` made, are both auctions; a `next_cursor` is the `cursor` of
the same list; an instant to come is always an hour or more away.
"""

import asyncio
import random as randomness
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from server.cli.grant import grant
from tests.support.players import PASSWORD

ROLES = ("anonymous", "user", "owner", "support", "finance", "admin")
KEPT_PER_NAME = 40
_ID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_WORDS = {"channel", "currency", "refresh_token", "category", "email", "password"}
"""Fields beside ids whose values are worth repeating."""


def singular(noun: str) -> str:
    """Return the resource a collection holds: `auctions` holds an auction, `categories` a category."""
    noun = noun.replace("-", "_")
    return noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")


@dataclass(slots=True)
class Person:
    """Somebody who signs in again when their session was ended."""

    http: httpx.Client
    role: str
    grants: tuple[str, str]
    """URLs of the engines where roles are given."""
    email: str = ""
    user_id: str = ""
    token: str = ""
    refresh_token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def register(self) -> None:
        self.email = f"{self.role}-{datetime.now(UTC).timestamp():.6f}@example.test"
        body = {"email": self.email, "password": PASSWORD, "display_name": self.role}
        made = self.http.post("/v1/auth/register", json=body).raise_for_status().json()
        self.user_id, self.token = made["user"]["id"], made["tokens"]["access_token"]
        self.refresh_token = made["tokens"]["refresh_token"]
        if self.role in {"support", "finance", "admin"}:
            asyncio.run(grant(*self.grants, self.email, [self.role]))
            self.sign_in()

    def stay(self) -> bool:
        """Sign in again unless the session stands; return whether that was needed."""
        if self.http.get("/v1/auth/me", headers=self.headers).status_code != 401:
            return False
        self.sign_in()
        return True

    def sign_in(self) -> None:
        """Sign in; as somebody new when this account was closed or its password changed meanwhile."""
        body = {"email": self.email, "password": PASSWORD}
        answer = self.http.post("/v1/auth/login", json=body)
        if answer.status_code != 200:
            self.register()
            return
        self.token = answer.json()["tokens"]["access_token"]


@dataclass(slots=True)
class TestUsers:
    """One person per role, and known values by the name of the field that takes them."""

    __test__ = False

    people: dict[str, Person]
    known: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    fitting: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """By operation: fields that go together on a thing in the state which the operation asks for."""
    welcome: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By operation: roles that it is known to succeed for."""
    random: randomness.Random = field(default_factory=lambda: randomness.Random(7))

    def headers(self, role: str) -> dict[str, str]:
        return self.people[role].headers if role in self.people else {}

    def learn(self, path: str, answer: Any) -> None:
        """Remember what an answer names; the users' own accounts, and what fits an operation, are not for others."""
        own = {person.user_id for person in self.people.values()}
        own |= {str(value) for sets in self.fitting.values() for fields in sets for value in fields.values()}
        segments = [s for s in path.split("/") if s and "{" not in s and not _ID.fullmatch(s)]
        for name, value in _facts_in(answer, f"{singular(segments[-1])}_id"):
            known = self.known[f"{path} cursor" if name == "next_cursor" else name]
            if value not in own and value not in known and len(known) < KEPT_PER_NAME:
                known.append(value)

    def fit(self, *operations: str, **fields: Any) -> None:
        """Remember fields on which operations succeed; None is a field that must be left out."""
        for name in operations:
            self.fitting[name].append(fields)
        for name, value in fields.items():
            if name in self.known and value in self.known[name]:
                self.known[name].remove(value)

    def choose(self, operation: str) -> dict[str, Any]:
        """Return fields that fit, for one call; now and then none, so that others are met too."""
        fitting = self.fitting.get(operation)
        return self.random.choice(fitting) if fitting and self.random.random() < 0.6 else {}

    def play(self, operation: str) -> str:
        """Return who makes a call that shall succeed: mostly somebody for whom the operation is."""
        welcome = self.welcome[operation] if self.random.random() < 0.7 else ()
        return self.random.choice(welcome or ROLES)

    def replace(self, path: str, values: dict[str, Any], *, words: bool) -> dict[str, Any]:
        """Return the values with known ones in place of most made-up ones; ids and times always, words if asked."""
        return {name: self._replaced(path, name, value, words) for name, value in values.items()}

    def _replaced(self, path: str, name: str, value: Any, words: bool) -> Any:
        if not isinstance(value, str) or self.random.random() < 0.15:
            return value
        if _TIME.match(value):
            return (datetime.now(UTC) + timedelta(hours=self.random.randint(1, 24))).isoformat()
        known = self.known.get(f"{path} cursor" if name == "cursor" else name, ())
        replaceable = _ID.fullmatch(value) or (words and (name in _WORDS or name == "cursor"))
        return self.random.choice(known) if known and replaceable else value


def _facts_in(value: Any, own_name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value[:20]:
            yield from _facts_in(item, own_name)
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(inner, str):
                yield from _facts_in(inner, f"{singular(name)}_id" if name != "items" else own_name)
            elif name == "id" and _ID.fullmatch(inner):
                yield own_name, inner
            elif name.endswith("_id") or name in _WORDS or name == "next_cursor":
                yield name, inner


def register_users(http: httpx.Client, postgres_url: str, redis_url: str) -> TestUsers:
    """Register the users, and a bystander whom administrators may ban; sell something and bid on it."""
    people = {role: Person(http, role, (postgres_url, redis_url)) for role in ROLES[1:]}
    for person in people.values():
        person.register()
    users = TestUsers(people)
    bystander = Person(http, "bystander", (postgres_url, redis_url))
    bystander.register()
    users.known["user_id"].append(bystander.user_id)
    users.known["email"].append(bystander.email)
    users.known["password"].append(PASSWORD)
    for auction in [open_auction(http, users) for _ in range(3)][:2]:
        key = {"Idempotency-Key": auction["id"]}
        path = f"/v1/auctions/{auction['id']}/bids"
        http.post(path, json={"amount": 5000}, headers=users.headers("user") | key).raise_for_status()
    return users


def list_something(http: httpx.Client, users: TestUsers, **changes: Any) -> dict[str, Any]:
    """List something of the owner's."""
    body = {
        "title": "A brass compass",
        "description": "",
        "category": "other",
        "condition": "used",
        **changes,
    }
    made = http.post("/v1/listings", json=body, headers=users.headers("owner")).raise_for_status()
    listing: dict[str, Any] = made.json()
    users.learn("/v1/listings", listing)
    return listing


def open_auction(http: httpx.Client, users: TestUsers, **changes: Any) -> dict[str, Any]:
    """Auction something of the owner's; it ends tomorrow."""
    terms = {
        "listing_id": list_something(http, users)["id"],
        "format": "english",
        "currency": "EUR",
        "starting_price": 1000,
        "ends_at": (datetime.now(UTC) + timedelta(hours=24)).isoformat(),
        **changes,
    }
    made = http.post("/v1/auctions", json=terms, headers=users.headers("owner")).raise_for_status()
    auction: dict[str, Any] = made.json()
    users.learn("/v1/auctions", auction)
    return auction
