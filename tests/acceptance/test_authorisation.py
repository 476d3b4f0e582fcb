"""Who may do what: every route and every channel, as everybody, on both doors; whoever is not named is denied.

What a route's permission says is read from its table. Whom the object lets in besides is said in `OBJECTS` here, and a
route that takes an id must be there: a new one fails until somebody has decided. Each cell acts on things of its own.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Permission
from protocols.errors import CATALOGUE
from protocols.topics import Lane
from protocols.values import new_id, now_instant, to_json
from server.domains import DOMAINS, ROUTES, channels_of
from server.http.arguments import HEADER_FIELDS, path_fields, reads_query, reads_token
from server.schemas.openapi import build_openapi
from tests.support.pictures import encode, two_halves
from tests.support.players import PASSWORD
from tests.support.system import System, running_system, scratch_home
from tests.support.users import Cast, Person, assemble, open_auction

PEOPLE = ("anonymous", "owner", "party", "other", "support", "admin")
"""The owner of the things of a cell, a party to them (who bid), and people who have nothing to do with them."""

LOCKED_OUT = {"banned": "session_over", "expired": "token_expired", "ended": "session_over"}
"""People with an access token of ours that is good no more, and what they are told."""

EVERYBODY = frozenset(PEOPLE)
OWNER = frozenset({"owner"})
NOT_OWNER = EVERYBODY - OWNER

OBJECTS: dict[str, frozenset[str]] = {
    "realtime.get_lag": EVERYBODY,
    "auth.end_session": OWNER,
    "auth.revoke_scope_token": OWNER,
    "auth.set_roles": EVERYBODY,
    "auth.ban_user": EVERYBODY,
    "auth.unban_user": EVERYBODY,
    "listings.search_listings": EVERYBODY,
    "listings.get_listing": EVERYBODY,
    "listings.update_listing": OWNER,
    "listings.withdraw_listing": OWNER,
    "listings.publish_listing": OWNER,
    "listings.delete_draft": OWNER,
    "listings.reserve_stock": NOT_OWNER,
    "listings.get_reservation": frozenset({"party"}),
    "listings.release_reservation": frozenset({"party"}),
    "listings.list_movements": OWNER,
    "listings.upload_photo": OWNER,
    "listings.arrange_photos": OWNER,
    "listings.caption_photo": OWNER,
    "listings.delete_photo": OWNER,
    "listings.update_search": OWNER,
    "listings.delete_search": OWNER,
    "listings.get_goods_rule": EVERYBODY,
    "listings.change_goods_rule": EVERYBODY,
    "listings.remove_goods_rule": EVERYBODY,
    "auctions.open_auction": OWNER,
    "auctions.get_auction": EVERYBODY,
    "auctions.list_bids": EVERYBODY,
    "auctions.get_audit": EVERYBODY,
    "auctions.get_increments": EVERYBODY,
    "auctions.set_increments": EVERYBODY,
    "auctions.get_page": EVERYBODY,
    "auctions.watch_auction": NOT_OWNER,
    "auctions.unwatch_auction": EVERYBODY,
    "auctions.place_bid": NOT_OWNER,
    "auctions.buy_now": NOT_OWNER,
    "auctions.retract_bid": frozenset({"party"}),
    "auctions.cancel_auction": OWNER,
    "auctions.end_early": OWNER,
    "auctions.get_exposure": EVERYBODY,
    "auctions.set_exposure_limit": EVERYBODY,
    "auctions.request_approval": NOT_OWNER,
    "auctions.list_bidders": OWNER,
    "auctions.approve_bidder": OWNER,
    "auctions.reject_bidder": OWNER,
    "auctions.revoke_bidder": OWNER,
    "auctions.block_bidder": EVERYBODY,
    "auctions.unblock_bidder": OWNER,
    "auctions.offer_second_chance": OWNER,
    "auctions.accept_second_chance": frozenset({"party"}),
    "auctions.decline_second_chance": frozenset({"party"}),
    "auctions.withdraw_second_chance": OWNER,
    "auctions.resolve_signal": EVERYBODY,
}
"""Of the people whom the route's permission admits: whom the object lets in. Everybody who calls a route without ids
acts on what is theirs, so it needs no line."""

PERMITTED = {
    Permission.ANYONE: EVERYBODY,
    Permission.SIGNED_IN: EVERYBODY - {"anonymous"},
    Permission.SUPPORT: frozenset({"support"}),
    Permission.ADMIN: frozenset({"admin"}),
}

CHANNELS: dict[str, frozenset[str]] = {
    "auctions": EVERYBODY,
    "ticker": EVERYBODY,
    "stock": EVERYBODY,
    "personal": OWNER,
}
"""Who may follow a channel of the owner's things; the empty ones are not built yet."""

PICTURE = encode(two_halves())
KINDS = [kind.word for kind in channels_of(DOMAINS)]
REPLAYED = {kind.word for kind in channels_of(DOMAINS) if kind.lane is Lane.REPLAYED}
EXAMPLES = {
    op["operationId"]: op
    for item in build_openapi(ROUTES, "http://x")["paths"].values()
    for op in item.values()
}
BY_NAME = {route.name: route for route in ROUTES}


def fields_with_ids(route) -> list[str]:
    """The fields that name things: path parameters, and required ids of the body."""
    required = EXAMPLES[route.name].get("requestBody", {}).get("content", {}).get("application/json", {})
    body = [name for name in required.get("example", {}) if name.endswith("_id")]
    return [*path_fields(route), *body]


@pytest.mark.parametrize("name", BY_NAME)
def test_somebody_has_decided_who_may_touch_what_the_route_names(name):
    fields = fields_with_ids(BY_NAME[name])
    assert name in OBJECTS or not fields, (
        f"{name} takes {', '.join(fields)} and nobody has said whom such a thing lets in: "
        "give it a line in OBJECTS, and THINGS a way to make one"
    )
    unmade = [field for field in fields if field not in THINGS]
    assert not unmade, f"THINGS does not know how to make {', '.join(unmade)} for {name}"


def test_no_line_speaks_of_what_is_gone():
    assert set(OBJECTS) <= set(BY_NAME)
    assert set(CHANNELS) == set(KINDS)


# -- the house -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def system(engines, database, redis_url) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
        "MNBARA_DRAIN_S": "1",
    }
    with scratch_home() as home, running_system(home, environment=environment) as running:
        yield running


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
            for line in str(self._connection.recv(timeout=10)).splitlines():
                reply = json.loads(line)
                if reply.get("id") == self._number:
                    return reply

    def close(self) -> None:
        self._open.close()


@dataclass
class House:
    """A running system and its people."""

    system: System
    http: httpx.Client
    cast: Cast
    sockets: dict[str, Socket]
    tokens: dict[str, str]
    """Of those who are locked out."""

    def token(self, who: str) -> str:
        """Return an access token; people whose session a cell has ended sign in again."""
        if who == "anonymous" or who in self.tokens:
            return self.tokens.get(who, "")
        person = self.cast.people[who]
        if self.http.get("/v1/auth/me", headers=person.headers).status_code == 401:
            person.sign_in()
            self.sockets.pop(who, None)
        return person.token

    def socket(self, who: str) -> Socket:
        token = self.token(who)
        if who not in self.sockets:
            self.sockets[who] = Socket(self.system.websocket_url, token)
            assert "connect" in self.sockets[who].opened, self.sockets[who].opened
        return self.sockets[who]

    def headers(self, who: str) -> dict[str, str]:
        token = self.token(who)
        return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.fixture(scope="module")
def house(system, database, redis_url) -> Iterator[House]:
    with httpx.Client(base_url=system.base_url, timeout=20, trust_env=False) as http:
        cast = assemble(http, database, redis_url)
        cast.people["party"] = cast.people.pop("user")
        for role in ("other", "banned", "ended"):
            cast.people[role] = Person(http, role, (database, redis_url))
            cast.people[role].register()
        made = House(system, http, cast, {}, {})
        lock_out(made)
        yield made
        for socket in made.sockets.values():
            socket.close()


def lock_out(house: House) -> None:
    """Ban one, end the session of another, and make a token that has expired."""
    banned, ended, other = (house.cast.people[name] for name in ("banned", "ended", "other"))
    path = f"/v1/users/{banned.user_id}/ban"
    house.http.post(path, json={}, headers=house.headers("admin")).raise_for_status()
    house.http.post("/v1/auth/logout", json={}, headers=ended.headers).raise_for_status()
    keys = AuthTools(house.system.home / "secrets", house.system.base_url, 900)
    caller = Caller(UUID(other.user_id), new_id(), frozenset({"user"}))
    expired, _ = keys.sign_access_token(caller, 0, now_instant() - 3_600_000, now_instant())
    keys.close()
    house.tokens.update(banned=banned.token, ended=ended.token, expired=expired)
    time.sleep(1)  # by then every process knows
    for who, told in LOCKED_OUT.items():
        answer = house.http.get("/v1/auth/me", headers=house.headers(who))
        assert (answer.status_code, answer.json()["code"]) == (401, told)


# -- things ----------------------------------------------------------------------------------------------------------


def make_auction(house: House) -> dict[str, str]:
    """An auction of the owner's with a bid of the party's."""
    auction = open_auction(house.http, house.cast, buy_now_price=900_000)
    body = {"amount": 5000}
    headers = house.headers("party") | {"Idempotency-Key": str(new_id())}
    bid = house.http.post(f"/v1/auctions/{auction['id']}/bids", json=body, headers=headers)
    return {"auction_id": auction["id"], "bid_id": bid.raise_for_status().json()["bid_id"]}


def make_listing(house: House) -> dict[str, str]:
    price = {"amount": 900, "currency": "EUR"}
    body = {"title": "A lamp", "description": "", "category": "other", "condition": "used", "price": price}
    made = house.http.post("/v1/listings", json=body, headers=house.headers("owner")).raise_for_status()
    return {"listing_id": made.json()["id"]}


def make_reservation(house: House) -> dict[str, str]:
    """Pieces of the owner's that the party holds; what the party held before is given back."""
    headers = house.headers("party")
    for held in house.http.get("/v1/reservations?status=held", headers=headers).json()["items"]:
        path = f"/v1/reservations/{held['reservation_id']}/release"
        house.http.post(path, json={}, headers=headers).raise_for_status()
    path = f"/v1/listings/{make_listing(house)['listing_id']}/reservations"
    headers |= {"Idempotency-Key": str(new_id())}
    made = house.http.post(path, json={"quantity": 1}, headers=headers).raise_for_status()
    return {"reservation_id": made.json()["reservation_id"]}


def make_photo(house: House) -> dict[str, str]:
    """A listing of the owner's with a photo."""
    listing_id = make_listing(house)["listing_id"]
    headers = house.headers("owner") | {"Content-Type": "image/jpeg"}
    path = f"/v1/listings/{listing_id}/photos"
    made = house.http.post(path, content=PICTURE, headers=headers).raise_for_status()
    return {"listing_id": listing_id, "photo_id": made.json()["photos"][0]["id"]}


def make_search(house: House) -> dict[str, str]:
    """A search that the owner keeps; those before it are forgotten."""
    headers = house.headers("owner")
    for kept in house.http.get("/v1/saved-searches", headers=headers).json()["items"]:
        house.http.delete(f"/v1/saved-searches/{kept['id']}", headers=headers).raise_for_status()
    body = {"name": "Lamps", "filters": {"q": "lamp"}}
    made = house.http.post("/v1/saved-searches", json=body, headers=headers).raise_for_status()
    return {"search_id": made.json()["id"]}


def make_rule(house: House) -> dict[str, str]:
    body = {"country": "EG", "words": "drone", "kind": "restricted", "reason": "Ask.", "source": "Rules"}
    made = house.http.post("/v1/goods-rules", json=body, headers=house.headers("admin")).raise_for_status()
    return {"rule_id": made.json()["rule_id"]}


def make_session(house: House) -> dict[str, str]:
    """Another session of the owner's."""
    owner = house.cast.people["owner"]
    body = {"email": owner.email, "password": PASSWORD}
    house.http.post("/v1/auth/login", json=body).raise_for_status()
    sessions = house.http.get("/v1/auth/sessions", headers=house.headers("owner")).json()["items"]
    return {"session_id": next(s["id"] for s in sessions if not s["current"])}


def make_scope_token(house: House) -> dict[str, str]:
    """A scope token of the owner's."""
    body = {"channels": ["auctions:*"]}
    answer = house.http.post("/v1/auth/scope-tokens", json=body, headers=house.headers("owner"))
    return {"token_id": answer.raise_for_status().json()["id"]}


def make_block(house: House) -> dict[str, str]:
    """A block of the owner's."""
    body = {"bidder_id": house.cast.people["ended"].user_id}
    made = house.http.post("/v1/blocked-bidders", json=body, headers=house.headers("owner"))
    return {"block_id": made.raise_for_status().json()["id"]}


def make_offer(house: House) -> dict[str, str]:
    """An offer of the owner's to the party, whom another one outbid."""
    path = f"/v1/auctions/{make_auction(house)['auction_id']}"
    headers = {who: house.headers(who) | {"Idempotency-Key": str(new_id())} for who in ("owner", "other")}
    house.http.post(f"{path}/bids", json={"amount": 90_000}, headers=headers["other"]).raise_for_status()
    house.http.post(f"{path}/end-early", headers=headers["owner"]).raise_for_status()
    made = house.http.post(f"{path}/second-chances", json={"nth": 1}, headers=headers["owner"])
    return {"offer_id": made.raise_for_status().json()["id"]}


def make_signal(house: House) -> dict[str, str]:
    """A signal, as the review of an auction raises it."""
    signal_id, auction_id = new_id(), make_auction(house)["auction_id"]

    async def insert() -> None:
        db = await asyncpg.connect(house.cast.people["owner"].grants[0])
        await db.execute(
            "INSERT INTO auction_signals (signal_id, auction_id, seller_id, bidder_id, kind, score, evidence,"
            " raised_at_ms) VALUES ($1, $2, $1, $1, 'shielding', 50, '{}', 0)",
            signal_id,
            UUID(auction_id),
        )
        await db.close()

    asyncio.run(insert())
    return {"signal_id": str(signal_id)}


THINGS: dict[str, Callable[[House], dict[str, str]]] = {
    "auction_id": make_auction,
    "bid_id": make_auction,
    "listing_id": make_listing,
    "reservation_id": make_reservation,
    "photo_id": make_photo,
    "search_id": make_search,
    "rule_id": make_rule,
    "session_id": make_session,
    "token_id": make_scope_token,
    "block_id": make_block,
    "offer_id": make_offer,
    "signal_id": make_signal,
    "bidder_id": lambda house: {"bidder_id": house.cast.people["ended"].user_id},
    "user_id": lambda house: {"user_id": house.cast.known["user_id"][0]},
    "currency": lambda _: {"currency": "EUR"},
    "channel": lambda house: {"channel": f"auctions:{house.cast.known['auction_id'][0]}"},
}
"""How to make the thing that a field names."""


def fields_of(house: House, route) -> dict[str, Any]:
    """Return the fields of a call as the documents show it, on things of its own."""
    operation = EXAMPLES[route.name]
    fields = dict(
        operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example", {})
    )
    for name in fields_with_ids(route):
        if name not in fields or name not in {"auction_id", "bid_id"}:
            fields.update(THINGS[name](house))
    known = {"amount": 900_000 - 1, "ends_at": (datetime.now(UTC) + timedelta(hours=30)).isoformat()}
    fields.update({name: value for name, value in known.items() if name in fields})
    return {name: value for name, value in fields.items() if name in route.command.__struct_fields__}


# -- cells -----------------------------------------------------------------------------------------------------------


def allowed(route, who: str) -> str:
    """Return what must happen: in, denied, unauthenticated."""
    if who in LOCKED_OUT:
        return "unauthenticated" if reads_token(route) else "in"
    if who not in PERMITTED[route.permission]:
        return "unauthenticated" if who == "anonymous" else "denied"
    return "in" if who in OBJECTS.get(route.name, EVERYBODY) else "denied"


NO_ENTRY = {"unauthenticated", "token_invalid", "token_expired", "session_over"}


def judge(route, status: int, code: str) -> str:
    """Return what has happened, as `allowed` says it; a refusal for another reason than who asks counts as in."""
    if code in NO_ENTRY and reads_token(route):
        return "unauthenticated"
    return "denied" if code in {"not_allowed", "own_auction", "own_listing"} or status == 404 else "in"


def over_rest(house: House, route, who: str) -> str:
    fields = fields_of(house, route)
    path = route.path.format(**fields)
    headers = house.headers(who)
    if "key" in route.command.__struct_fields__:
        headers[HEADER_FIELDS["key"]] = str(new_id())
    left = {name: value for name, value in fields.items() if name not in path_fields(route)}
    sent: dict[str, Any] = {"params": left} if reads_query(route) else {"json": left}
    if route.upload is not None:
        headers["Content-Type"] = route.upload.media_types[0]
        sent = {"content": PICTURE}
    answer = house.http.request(route.method, path, headers=headers, **sent)
    code = answer.json().get("code", "") if answer.status_code >= 400 else ""
    return judge(route, answer.status_code, code)


def over_rpc(house: House, route, who: str) -> str:
    fields = fields_of(house, route)
    if "key" in route.command.__struct_fields__:
        fields["key"] = str(new_id())
    data = json.loads(to_json(fields))
    reply = house.socket(who).ask({"rpc": {"method": route.name, "data": data}})
    error = reply.get("error")
    if error is None:
        return "in"
    if error["code"] == 104:
        return "no such method"
    code = error["message"].partition(":")[0]
    return judge(route, CATALOGUE[code].status, code)


@pytest.mark.parametrize("who", [*PEOPLE, *LOCKED_OUT])
@pytest.mark.parametrize("name", BY_NAME)
def test_cell_over_rest(house, name, who):
    assert over_rest(house, BY_NAME[name], who) == allowed(BY_NAME[name], who)


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("name", BY_NAME)
def test_cell_over_rpc(house, name, who):
    route = BY_NAME[name]
    assert over_rpc(house, route, who) == (allowed(route, who) if route.rpc else "no such method")


@pytest.mark.parametrize("who", LOCKED_OUT)
def test_who_is_locked_out_gets_no_socket(house, who):
    if LOCKED_OUT[who] == "token_expired":
        opened = Socket(house.system.websocket_url, house.token(who)).opened
        assert opened["error"]["code"] == 109  # refresh it and come back
        return
    with pytest.raises(ConnectionClosed) as closed:
        Socket(house.system.websocket_url, house.token(who))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 3500  # for good


def channel_of(house: House, kind: str) -> str:
    """Return a channel of the owner's."""
    if kind == "personal":
        return f"personal:#{house.cast.people['owner'].user_id}"
    if kind == "stock":
        return f"stock:{make_listing(house)['listing_id']}"
    return f"{kind}:{house.cast.known['auction_id'][0]}"


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("kind", KINDS)
def test_channel_over_a_socket(house, kind, who):
    channel = channel_of(house, kind)
    error = house.socket(who).ask({"subscribe": {"channel": channel}}).get("error", {"code": 0})
    # 105: the server has subscribed its user already
    assert error["code"] in ({0, 105} if who in CHANNELS[kind] else {102, 103})


@pytest.mark.parametrize("who", [*PEOPLE, *LOCKED_OUT])
@pytest.mark.parametrize("kind", KINDS)
def test_channel_over_rest(house, kind, who):
    path = f"/v1/channels/{channel_of(house, kind).replace('#', '%23')}/events"
    status = house.http.get(path, headers=house.headers(who)).status_code
    if who in LOCKED_OUT:
        assert status == 401
    elif who in CHANNELS[kind] and kind in REPLAYED:
        assert status == 200
    else:
        assert status in {403, 404}
