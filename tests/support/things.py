"""How to make the things that the ids of a call name, each the caller's own: a way for every name of an id."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg

from protocols.values import new_id
from tests.support.ledger import wait_for_log
from tests.support.money import give_money, open_paid_escrow, quote_exchange
from tests.support.oidc_server import new_proof
from tests.support.pictures import encode, two_halves
from tests.support.players import PASSWORD
from tests.support.test_system import TestSystem
from tests.support.users import open_auction

PICTURE = encode(two_halves())


def make_auction(system: TestSystem) -> dict[str, str]:
    """An auction of the owner's with a bid of the party's."""
    auction = open_auction(system.http, system.users, buy_now_price=900_000)
    body = {"amount": 5000}
    headers = system.headers("party") | {"Idempotency-Key": str(new_id())}
    bid = system.http.post(f"/v1/auctions/{auction['id']}/bids", json=body, headers=headers)
    return {"auction_id": auction["id"], "bid_id": bid.raise_for_status().json()["bid_id"]}


def make_listing(system: TestSystem) -> dict[str, str]:
    price = {"amount": 900, "currency": "EUR"}
    body = {"title": "A lamp", "description": "", "category": "other", "condition": "used", "price": price}
    made = system.http.post("/v1/listings", json=body, headers=system.headers("owner")).raise_for_status()
    return {"listing_id": made.json()["id"]}


def make_reservation(system: TestSystem) -> dict[str, str]:
    """Pieces of the owner's that the party holds; what the party held before is given back."""
    headers = system.headers("party")
    for held in system.http.get("/v1/reservations?status=held", headers=headers).json()["items"]:
        path = f"/v1/reservations/{held['reservation_id']}/release"
        system.http.post(path, json={}, headers=headers).raise_for_status()
    path = f"/v1/listings/{make_listing(system)['listing_id']}/reservations"
    headers |= {"Idempotency-Key": str(new_id())}
    made = system.http.post(path, json={"quantity": 1}, headers=headers).raise_for_status()
    return {"reservation_id": made.json()["reservation_id"]}


def make_photo(system: TestSystem) -> dict[str, str]:
    """A listing of the owner's with a photo."""
    listing_id = make_listing(system)["listing_id"]
    headers = system.headers("owner") | {"Content-Type": "image/jpeg"}
    path = f"/v1/listings/{listing_id}/photos"
    made = system.http.post(path, content=PICTURE, headers=headers).raise_for_status()
    return {"listing_id": listing_id, "photo_id": made.json()["photos"][0]["id"]}


def make_search(system: TestSystem) -> dict[str, str]:
    """A search that the owner keeps; those before it are forgotten."""
    headers = system.headers("owner")
    for kept in system.http.get("/v1/saved-searches", headers=headers).json()["items"]:
        system.http.delete(f"/v1/saved-searches/{kept['id']}", headers=headers).raise_for_status()
    body = {"name": "Lamps", "filters": {"q": "lamp"}}
    made = system.http.post("/v1/saved-searches", json=body, headers=headers).raise_for_status()
    return {"search_id": made.json()["id"]}


def make_rule(system: TestSystem) -> dict[str, str]:
    body = {"country": "EG", "words": "drone", "kind": "restricted", "reason": "Ask.", "source": "Rules"}
    made = system.http.post("/v1/goods-rules", json=body, headers=system.headers("admin")).raise_for_status()
    return {"rule_id": made.json()["rule_id"]}


def make_session(system: TestSystem) -> dict[str, str]:
    """Another session of the owner's."""
    owner = system.users.people["owner"]
    body = {"email": owner.email, "password": PASSWORD}
    system.http.post("/v1/auth/login", json=body).raise_for_status()
    sessions = system.http.get("/v1/auth/sessions", headers=system.headers("owner")).json()["items"]
    return {"session_id": next(s["id"] for s in sessions if not s["current"])}


def make_scope_token(system: TestSystem) -> dict[str, str]:
    """A scope token of the owner's."""
    body = {"channels": ["auctions:*"]}
    answer = system.http.post("/v1/auth/scope-tokens", json=body, headers=system.headers("owner"))
    return {"token_id": answer.raise_for_status().json()["id"]}


def make_block(system: TestSystem) -> dict[str, str]:
    """A block of the owner's."""
    body = {"bidder_id": system.users.people["ended"].user_id}
    made = system.http.post("/v1/blocked-bidders", json=body, headers=system.headers("owner"))
    return {"block_id": made.raise_for_status().json()["id"]}


def make_offer(system: TestSystem) -> dict[str, str]:
    """An offer of the owner's to the party, whom another one outbid."""
    path = f"/v1/auctions/{make_auction(system)['auction_id']}"
    headers = {who: system.headers(who) | {"Idempotency-Key": str(new_id())} for who in ("owner", "other")}
    system.http.post(f"{path}/bids", json={"amount": 90_000}, headers=headers["other"]).raise_for_status()
    system.http.post(f"{path}/end-early", headers=headers["owner"]).raise_for_status()
    made = system.http.post(f"{path}/second-chances", json={"nth": 1}, headers=headers["owner"])
    return {"offer_id": made.raise_for_status().json()["id"]}


def make_signal(system: TestSystem) -> dict[str, str]:
    """A signal, as the review of an auction raises it."""
    signal_id, auction_id = new_id(), make_auction(system)["auction_id"]

    async def insert() -> None:
        db = await asyncpg.connect(system.users.people["owner"].grants[0])
        await db.execute(
            "INSERT INTO auction_signals (signal_id, auction_id, seller_id, bidder_id, kind, score, evidence,"
            " raised_at_ms) VALUES ($1, $2, $1, $1, 'shielding', 50, '{}', 0)",
            signal_id,
            UUID(auction_id),
        )
        await db.close()

    asyncio.run(insert())
    return {"signal_id": str(signal_id)}


def make_identity(system: TestSystem) -> dict[str, str]:
    """A provider that signs the owner in."""
    headers, proof = system.headers("owner"), new_proof(new_id().hex)
    made = system.http.post("/v1/auth/oauth/acme/link", json=without(proof, "provider"), headers=headers)
    return {"identity_id": made.raise_for_status().json()["id"]}


def without(fields: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in fields.items() if key != name}


def make_entry(system: TestSystem) -> dict[str, Any]:
    """An entry of the transparency log, and the size of a tree that was signed: a sale is logged."""
    if system.http.get("/v1/ledger/entries").json()["items"] == []:
        make_offer(system)
    return {"index": 0, "tree_size": wait_for_log(system.http)}


def make_escrow(system: TestSystem) -> dict[str, str]:
    """Money of the owner's that waits for a deal with the party."""
    owner, party = (system.users.people[who] for who in ("owner", "party"))
    opening = open_paid_escrow(owner.grants[0], UUID(owner.user_id), UUID(party.user_id))
    return {"escrow_id": str(asyncio.run(opening))}


def make_quote(system: TestSystem) -> dict[str, str]:
    """A quote of the owner's, who has money to take it."""
    owner = system.users.people["owner"]
    asyncio.run(give_money(owner.grants[0], UUID(owner.user_id)))
    return {"quote_id": quote_exchange(system.http, system.headers("owner"))}


def make_method(system: TestSystem) -> dict[str, str]:
    """A saved card of the owner's; those before it are forgotten."""
    headers = system.headers("owner") | {"Idempotency-Key": str(new_id())}
    for kept in system.http.get("/v1/payment-methods", headers=headers).json()["items"]:
        system.http.delete(f"/v1/payment-methods/{kept['id']}", headers=headers).raise_for_status()
    made = system.http.post("/v1/payment-methods", json={"token": "visa"}, headers=headers)
    return {"method_id": made.raise_for_status().json()["id"]}


def make_top_up(system: TestSystem) -> dict[str, str]:
    """A top-up of the owner's that nobody has paid."""
    headers = system.headers("owner") | {"Idempotency-Key": str(new_id())}
    body = {"money": {"amount": 100, "currency": "EUR"}}
    made = system.http.post("/v1/top-ups", json=body, headers=headers)
    return {"top_up_id": made.raise_for_status().json()["id"]}


def make_payout(system: TestSystem) -> dict[str, str]:
    """A payout of the owner's that was not sent."""
    owner = system.users.people["owner"]
    asyncio.run(give_money(owner.grants[0], UUID(owner.user_id)))
    for path, body in (
        ("/v1/payout-accounts", {"country": "DE"}),
        ("/v1/test-payments/onboard", {"status": "active"}),
        ("/v1/payout-accounts", {"country": "DE"}),  # reads at the provider what it is now
        ("/v1/payouts", {"money": {"amount": 100, "currency": "EUR"}}),
    ):
        headers = system.headers("owner") | {"Idempotency-Key": str(new_id())}
        made = system.http.post(path, json=body, headers=headers).raise_for_status()
    return {"payout_id": made.json()["id"]}


THINGS: dict[str, Callable[[TestSystem], dict[str, Any]]] = {
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
    "identity_id": make_identity,
    "provider": lambda _: {"provider": "acme"},
    "escrow_id": make_escrow,
    "quote_id": make_quote,
    "method_id": make_method,
    "top_up_id": make_top_up,
    "payout_id": make_payout,
    "bidder_id": lambda system: {"bidder_id": system.users.people["ended"].user_id},
    "user_id": lambda system: {"user_id": system.users.known["user_id"][0]},
    "index": make_entry,
    "tree_size": make_entry,
    "currency": lambda _: {"currency": "EUR"},
    "channel": lambda system: {"channel": f"auctions:{system.users.known['auction_id'][0]}"},
}
"""How to make the thing that a field names."""
