"""What the people of a cast act on: for each operation that needs a thing in a certain state, things in that state.

A bid that can be taken back, a request that waits for its answer, an offer that stands: made-up fields never hit on
them. They are named by the path that acts on them, and several operations never share one.
"""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from protocols.values import new_id
from tests.support.cast import Cast, Person, open_auction
from tests.support.pictures import encode, two_halves

COPIES = 3
"""So many of each: the cases of an operation use up what they succeed on."""

PICTURE = encode(two_halves())


class Props:
    """Makes things and tells the cast where they belong."""

    def __init__(self, http: httpx.Client, cast: Cast) -> None:
        self._http = http
        self._cast = cast
        owner = cast.people["owner"]
        self._other = Person(http, "other", owner.grants)
        self._other.register()
        self._postgres_url = owner.grants[0]

    def make_all(self) -> None:
        """Make what every operation needs; the cast knows it afterwards."""
        for make in (self._listings, self._auctions, self._bidders, self._offers, self._signals):
            for _ in range(COPIES):
                make()
        self._cast.fit("/v1/auth/scope-tokens", channels=["auctions:*"])
        increments = [[None, 100]]
        self._cast.fit("/v1/increments/{currency}", currency="CHF", increments=increments)
        channel = f"auctions:{self._auction()}"
        for path in ("/v1/channels/{channel}/lag", "/v1/channels/{channel}/events"):
            self._cast.fit(path, channel=channel)
        self._rules()

    def _post(self, who: str, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        headers = self._other.headers if who == "other" else self._cast.headers(who)
        headers = {**headers, "Idempotency-Key": str(new_id()), **more.pop("headers", {})}
        sent = more or {"json": body or {}}
        return self._http.post(path, headers=headers, **sent).raise_for_status().json()

    def _auction(self, **terms: Any) -> str:
        return str(open_auction(self._http, self._cast, **terms)["id"])

    def _listing(self, **changes: Any) -> str:
        price = {"amount": 900, "currency": "EUR"}
        body = {
            "title": "A lamp",
            "description": "",
            "category": "other",
            "condition": "used",
            "price": price,
        }
        return str(self._post("owner", "/v1/listings", body | changes)["id"])

    def _listings(self) -> None:
        fit, one = self._cast.fit, "/v1/listings/{listing_id}"
        fit(one, listing_id=self._listing(draft=True))
        fit(f"{one}/publish", listing_id=self._listing(draft=True))
        fit(f"{one}/withdraw", listing_id=self._listing())
        moved = self._listing()
        self._post("support", f"/v1/listings/{moved}/reservations", {"quantity": 1})
        fit(f"{one}/movements", listing_id=moved)
        fit(f"{one}/photos", listing_id=self._listing(), photo_ids=[])
        fit(f"{one}/reservations", listing_id=self._listing(quantity=10_000), quantity=1, version=1)
        photographed = self._listing()
        for _ in range(2):
            photo = self._post(
                "owner",
                f"/v1/listings/{photographed}/photos",
                content=PICTURE,
                headers={"Content-Type": "image/jpeg"},
            )["photos"][-1]
            fit(f"{one}/photos/{{photo_id}}", listing_id=photographed, photo_id=photo["id"])
            fit("/v1/photos/{name}", name=photo["small"].rpartition("/")[2])
        for path in ("/v1/reservations/{reservation_id}", "/v1/reservations/{reservation_id}/release"):
            held = self._post("user", f"/v1/listings/{self._listing()}/reservations", {"quantity": 1})
            fit(path, reservation_id=held["reservation_id"])
        search = self._post(
            "owner", "/v1/saved-searches", {"name": f"Lamps {new_id()}", "filters": {"q": "lamp"}}
        )
        fit("/v1/saved-searches/{search_id}", search_id=search["id"])

    def _auctions(self) -> None:
        fit, one = self._cast.fit, "/v1/auctions/{auction_id}"
        for action in ("cancel", "watch", "page"):
            fit(f"{one}/{action}", auction_id=self._auction())
        fit(f"{one}/buy-now", auction_id=self._auction(buy_now_price=900_000))
        fit(f"{one}/bids", auction_id=self._auction(format="reverse", starting_price=10**9), quantity=1)
        bid_on = self._auction()
        bid = self._post("user", f"/v1/auctions/{bid_on}/bids", {"amount": 5000})
        fit(f"{one}/bids/{{bid_id}}/retract", auction_id=bid_on, bid_id=bid["bid_id"])
        ending = self._auction()
        self._post("other", f"/v1/auctions/{ending}/bids", {"amount": 5000})
        fit(f"{one}/end-early", auction_id=ending)

    def _bidders(self) -> None:
        fit, one = self._cast.fit, "/v1/auctions/{auction_id}/bidders"
        asked_for = self._auction(bidders="approved")
        for who in ("other", "support"):
            self._post(who, f"/v1/auctions/{asked_for}/bidders")
        fit(one, auction_id=asked_for)
        for action in ("approve", "reject", "revoke"):
            auction_id = self._auction(bidders="approved")
            asked = self._post("user", f"/v1/auctions/{auction_id}/bidders")
            if action == "revoke":
                path = f"/v1/auctions/{auction_id}/bidders/{asked['bidder_id']}/approve"
                self._post("owner", path)
            fit(f"{one}/{{bidder_id}}/{action}", auction_id=auction_id, bidder_id=asked["bidder_id"])
        stranger = Person(self._http, "stranger", self._other.grants)
        stranger.register()
        block = self._post("owner", "/v1/blocked-bidders", {"bidder_id": stranger.user_id})
        fit("/v1/blocked-bidders/{block_id}", block_id=block["id"])
        fit("/v1/blocked-bidders", bidder_id=stranger.user_id, auction_id=None, bidder=None)

    def _outbid(self) -> str:
        """An auction that has ended, on which the user was second."""
        auction_id = self._auction()
        for who, amount in (("user", 5000), ("other", 90_000)):
            self._post(who, f"/v1/auctions/{auction_id}/bids", {"amount": amount})
        self._post("owner", f"/v1/auctions/{auction_id}/end-early")
        return auction_id

    def _offers(self) -> None:
        offers = "/v1/auctions/{auction_id}/second-chances"
        self._cast.fit(offers, auction_id=self._outbid(), nth=1, bid_id=None, another_piece=False)
        for action in ("accept", "decline", "withdraw"):
            offer = self._post("owner", offers.format(auction_id=self._outbid()), {"nth": 1})
            self._cast.fit(f"/v1/second-chances/{{offer_id}}/{action}", offer_id=offer["id"])

    def _signals(self) -> None:
        signal_id = new_id()
        asyncio.run(self._raise(signal_id, UUID(self._auction())))
        self._cast.fit("/v1/signals/{signal_id}/resolve", signal_id=str(signal_id))

    async def _raise(self, signal_id: UUID, auction_id: UUID) -> None:
        """Raise a signal as the review of an auction does."""
        db = await asyncpg.connect(self._postgres_url)
        await db.execute(
            "INSERT INTO auction_signals (signal_id, auction_id, seller_id, bidder_id, kind, score, evidence,"
            " raised_at_ms) VALUES ($1, $2, $1, $1, 'shielding', 50, '{}', 0)",
            signal_id,
            auction_id,
        )
        await db.close()

    def _rules(self) -> None:
        said = {"country": "EG", "kind": "restricted", "reason": "Ask.", "source": "Rules"}
        self._cast.fit("/v1/goods-rules", **said, category="", words=f"drone {new_id()}")
        for number in range(2 * COPIES):
            rule = self._post("admin", "/v1/goods-rules", {**said, "words": f"lamp {number}"})
            fields = {**said, "category": "", "words": f"lamp {number}", "rule_id": rule["rule_id"]}
            self._cast.fit("/v1/goods-rules/{rule_id}", **fields)
