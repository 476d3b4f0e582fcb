"""What test users act on: for each operation that needs a thing in a certain state, things in that state.

A bid that can be taken back, a request that waits for its answer, an offer that stands: made-up fields never hit on
them. Every set of fields is named by the operations that it is for; what one operation uses up, no other is given.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from handlers.auth.factors.rules import STEP_MS, code_of
from protocols.values import new_id, now_instant
from storage.engines.redis import open_redis
from storage.platform.offset_reports_redis import RedisOffsetReports
from tests.support.ledger import wait_for_log, witness_request
from tests.support.money import give_money, open_paid_escrow, quote_exchange
from tests.support.oidc_server import new_proof
from tests.support.pictures import encode, two_halves
from tests.support.players import PASSWORD
from tests.support.users import Person, TestUsers, list_something, open_auction

COPIES = 3
"""So many of each: the calls of an operation use up what they succeed on."""

PICTURE = encode(two_halves())


MADE_FOR: dict[str, str] = {}
"""By operation: the method of `TestData` that makes what it acts on."""


def makes(*operations: str) -> Callable[[Callable[["TestData"], None]], Callable[["TestData"], None]]:
    """Declare the operations that a method of `TestData` makes things for; `make_all` calls the method."""

    def declare(method: Callable[["TestData"], None]) -> Callable[["TestData"], None]:
        MADE_FOR.update(dict.fromkeys(operations, method.__name__))
        return method

    return declare


class TestData:
    """Makes things and tells the users which operations they are for."""

    __test__ = False

    def __init__(self, http: httpx.Client, users: TestUsers) -> None:
        self._http = http
        self._users = users
        self._grants = users.people["owner"].grants
        self._other = Person(http, "other", self._grants)
        self._stranger = Person(http, "stranger", self._grants)
        for person in (self._other, self._stranger):
            person.register()
        self._numbers = iter(range(1000))
        self._recovery_codes: list[str] = []

    def make_all(self) -> None:
        """Make what every operation needs; the users know it afterwards."""
        methods = dict.fromkeys(MADE_FOR.values())
        for copy in range(COPIES):
            for name in methods:
                if copy == 0 or name != "_constants":
                    getattr(self, name)()
        assert set(self._users.fitting) == set(MADE_FOR), "what `makes` declares is what a method makes"

    @makes(
        "auth.get_profile",
        "auth.set_roles",
        "auth.ban_user",
        "auth.unban_user",
        "auctions.set_exposure_limit",
        "auctions.get_exposure",
        "payments.list_entries",
        "payments.get_statement",
        "payments.set_exchange_terms",
        "auctions.set_increments",
        "auctions.get_increments",
        "auth.create_scope_token",
        "realtime.get_lag",
        "server.poll_channel",
    )
    def _constants(self) -> None:
        """What no call uses up."""
        fit, user_id = self._users.fit, self._users.known["user_id"][0]
        fit("auth.get_profile", "auth.set_roles", "auth.ban_user", "auth.unban_user", user_id=user_id)
        fit("auctions.set_exposure_limit", user_id=user_id, currency="EUR")
        fit("auctions.set_increments", "auctions.get_increments", currency="CHF")
        fit("auctions.get_exposure", "payments.list_entries", "payments.get_statement", currency="EUR")
        fit("payments.set_exchange_terms", currency="EUR")
        self._post("owner", "/v1/blocked-bidders", {"bidder_id": self._users.people["admin"].user_id})
        channel = f"auctions:{self._auction()}"
        fit("auth.create_scope_token", channels=[channel])
        fit("realtime.get_lag", "server.poll_channel", channel=channel)
        asyncio.run(self._fall_behind(channel))

    async def _fall_behind(self, channel: str) -> None:
        """Have two clients that are behind, as their processes tell it."""
        redis = open_redis(self._grants[1])
        reports = [(channel, str(new_id()), "", 0, now_instant()) for _ in range(2)]
        await RedisOffsetReports(redis, lifetime_s=3600).apply(reports)
        await redis.aclose()

    def _post(self, who: str, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        headers = self._other.headers if who == "other" else self._users.headers(who)
        headers = {**headers, "Idempotency-Key": str(new_id()), **more.pop("headers", {})}
        sent = more or {"json": body or {}}
        answer = self._http.post(path, headers=headers, **sent)
        assert answer.is_success, f"{who} {path}: {answer.text}"
        return answer.json()

    def _auction(self, **terms: Any) -> str:
        return str(open_auction(self._http, self._users, **terms)["id"])

    def _listing(self, **changes: Any) -> str:
        price = {"amount": 900, "currency": "EUR"}
        return str(list_something(self._http, self._users, price=price, **changes)["id"])

    @makes(
        "listings.get_listing",
        "listings.update_listing",
        "listings.publish_listing",
        "listings.delete_draft",
        "listings.withdraw_listing",
        "auctions.open_auction",
    )
    def _listings(self) -> None:
        fit = self._users.fit
        fit("listings.get_listing", listing_id=self._listing())
        fit("listings.update_listing", listing_id=self._listing(), category="other")
        for name in ("listings.publish_listing", "listings.delete_draft"):
            fit(name, listing_id=self._listing(draft=True))
        fit("listings.withdraw_listing", listing_id=self._listing())
        ends_at = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
        fit("auctions.open_auction", listing_id=self._listing(), ends_at=ends_at)

    @makes(
        "listings.upload_photo",
        "listings.caption_photo",
        "listings.delete_photo",
        "listings.arrange_photos",
        "server.read_photo",
    )
    def _photos(self) -> None:
        self._users.fit("listings.upload_photo", listing_id=self._listing())
        for name in ("listings.caption_photo", "listings.delete_photo"):
            listing_id, photo = self._pictured()
            self._users.fit(name, listing_id=listing_id, photo_id=photo["id"])
        listing_id, photo = self._pictured()
        self._users.fit("listings.arrange_photos", listing_id=listing_id, photo_ids=[photo["id"]])
        self._users.fit("server.read_photo", name=photo["small"].rpartition("/")[2])

    def _pictured(self) -> tuple[str, dict[str, str]]:
        """A listing with a photo."""
        listing_id = self._listing()
        jpeg = {"content": PICTURE, "headers": {"Content-Type": "image/jpeg"}}
        (photo,) = self._post("owner", f"/v1/listings/{listing_id}/photos", **jpeg)["photos"]
        return listing_id, photo

    @makes(
        "listings.reserve_stock",
        "listings.list_movements",
        "listings.get_reservation",
        "listings.release_reservation",
    )
    def _stock(self) -> None:
        fit = self._users.fit
        fit("listings.reserve_stock", listing_id=self._listing(quantity=10_000), quantity=1, version=1)
        moved = self._listing(quantity=10)
        for who in ("support", "other"):
            self._post(who, f"/v1/listings/{moved}/reservations", {"quantity": 1})
        fit("listings.list_movements", listing_id=moved)
        for name in ("listings.get_reservation", "listings.release_reservation"):
            held = self._post("user", f"/v1/listings/{self._listing()}/reservations", {"quantity": 1})
            fit(name, reservation_id=held["reservation_id"])

    @makes("payments.exchange")
    def _quotes(self) -> None:
        owner = self._users.people["owner"]
        asyncio.run(give_money(self._grants[0], UUID(owner.user_id)))
        quote_id = quote_exchange(self._http, self._users.headers("owner"))
        self._users.fit("payments.exchange", quote_id=quote_id)

    @makes("listings.update_search", "listings.delete_search")
    def _searches(self) -> None:
        for name in ("listings.update_search", "listings.delete_search"):
            body = {"name": f"Lamps {next(self._numbers)}", "filters": {"q": "lamp"}}
            search = self._post("owner", "/v1/saved-searches", body)
            self._users.fit(name, search_id=search["id"], filters={"q": "lamp"})

    @makes(
        "listings.get_goods_rule",
        "listings.change_goods_rule",
        "listings.remove_goods_rule",
        "listings.add_goods_rule",
        "listings.check_goods",
    )
    def _rules(self) -> None:
        said = {"country": "EG", "kind": "restricted", "reason": "Ask.", "source": "Rules"}
        for name in ("listings.get_goods_rule", "listings.change_goods_rule", "listings.remove_goods_rule"):
            words = f"lamp {next(self._numbers)}"
            rule = self._post("admin", "/v1/goods-rules", {**said, "words": words})
            self._users.fit(
                name, rule_id=rule["rule_id"], country="EG", category="", words=f"{words} of glass"
            )
        words = f"drone {next(self._numbers)}"
        self._users.fit("listings.add_goods_rule", country="EG", category="", words=words)
        self._users.fit("listings.check_goods", listing_id=self._listing(), destination="EG")

    @makes(
        "auctions.get_auction",
        "auctions.get_page",
        "auctions.list_bids",
        "auctions.get_audit",
        "auctions.watch_auction",
        "auctions.unwatch_auction",
        "auctions.retract_bid",
        "auctions.cancel_auction",
        "auctions.buy_now",
        "auctions.place_bid",
        "auctions.end_early",
        "auctions.set_seller_notices",
        "auctions.get_seller_notices",
    )
    def _auctions(self) -> None:
        fit = self._users.fit
        queries = ("get_auction", "get_page", "list_bids", "get_audit", "watch_auction", "unwatch_auction")
        bid_on = self._auction()
        for who, amount in (("user", 5000), ("other", 9000), ("user", 20_000)):
            bid = self._post(who, f"/v1/auctions/{bid_on}/bids", {"amount": amount})
        self._http.put(f"/v1/auctions/{bid_on}/watch", json={}, headers=self._users.headers("user"))
        fit(*(f"auctions.{name}" for name in queries), auction_id=bid_on)
        fit("auctions.set_seller_notices", "auctions.get_seller_notices", auction_id=self._auction())
        fit("auctions.retract_bid", auction_id=bid_on, bid_id=bid["bid_id"])
        fit("auctions.cancel_auction", auction_id=self._auction())
        fit("auctions.buy_now", auction_id=self._auction(buy_now_price=900_000))
        fit(
            "auctions.place_bid", auction_id=self._auction(format="reverse", starting_price=10**9), quantity=1
        )
        ending = self._auction()
        self._post("other", f"/v1/auctions/{ending}/bids", {"amount": 5000})
        fit("auctions.end_early", auction_id=ending)

    @makes(
        "auctions.request_approval",
        "auctions.list_bidders",
        "auctions.approve_bidder",
        "auctions.reject_bidder",
        "auctions.revoke_bidder",
        "auctions.unblock_bidder",
        "auctions.block_bidder",
    )
    def _bidders(self) -> None:
        fit = self._users.fit
        asked_for = self._auction(bidders="approved")
        for who in ("other", "support"):
            self._post(who, f"/v1/auctions/{asked_for}/bidders")
        fit("auctions.request_approval", "auctions.list_bidders", auction_id=asked_for)
        for action in ("approve", "reject", "revoke"):
            auction_id = self._auction(bidders="approved")
            asked = self._post("user", f"/v1/auctions/{auction_id}/bidders")
            if action == "revoke":
                path = f"/v1/auctions/{auction_id}/bidders/{asked['bidder_id']}/approve"
                self._post("owner", path)
            fit(f"auctions.{action}_bidder", auction_id=auction_id, bidder_id=asked["bidder_id"])
        blocked = {"bidder_id": self._stranger.user_id, "auction_id": self._auction()}
        block = self._post("owner", "/v1/blocked-bidders", blocked)
        fit("auctions.unblock_bidder", block_id=block["id"])
        fit("auctions.block_bidder", bidder_id=self._stranger.user_id, auction_id=None, bidder=None)

    def _outbid(self) -> str:
        """An auction that has ended, on which the user was second."""
        auction_id = self._auction()
        for who, amount in (("user", 5000), ("other", 90_000)):
            self._post(who, f"/v1/auctions/{auction_id}/bids", {"amount": amount})
        self._post("owner", f"/v1/auctions/{auction_id}/end-early")
        return auction_id

    @makes(
        "auctions.offer_second_chance",
        "auctions.accept_second_chance",
        "auctions.decline_second_chance",
        "auctions.withdraw_second_chance",
    )
    def _offers(self) -> None:
        path = "/v1/auctions/{auction_id}/second-chances"
        self._users.fit("auctions.offer_second_chance", auction_id=self._outbid(), nth=1, bid_id=None)
        for action in ("accept", "decline", "withdraw"):
            offer = self._post("owner", path.format(auction_id=self._outbid()), {"nth": 1})
            self._users.fit(f"auctions.{action}_second_chance", offer_id=offer["id"])

    @makes(
        "ledger.get_inclusion_proof",
        "ledger.get_consistency_proof",
        "ledger.get_anchor",
        "ledger.add_checkpoint",
        "server.read_tile",
    )
    def _log(self) -> None:
        """Sales have been logged by now."""
        self._outbid()
        fit, size = self._users.fit, wait_for_log(self._http)
        fit("ledger.get_inclusion_proof", index=0)
        fit("ledger.get_consistency_proof", old=1, new=size)
        fit("ledger.get_anchor", tree_size=size)
        fit("server.read_tile", level="0", index="000.p/1")
        fit("ledger.add_checkpoint", content=witness_request(self._http))

    @makes(
        "payments.create_top_up",
        "payments.get_top_up",
        "payments.cancel_top_up",
        "payments.refund_top_up",
        "payments.remove_method",
        "payments.confirm_test_payment",
        "payments.get_payout",
        "payments.cancel_payout",
        "payments.request_payout",
        "payments.create_payout_account",
    )
    def _money(self) -> None:
        fit = self._users.fit
        few = {"money": {"amount": 100, "currency": "EUR"}}
        card = self._post("owner", "/v1/payment-methods", {"token": "visa"})["id"]
        fit("payments.remove_method", method_id=card)
        fit("payments.create_top_up", money={"amount": 100, "currency": "EUR"})
        waits = self._post("owner", "/v1/top-ups", few)
        fit("payments.get_top_up", "payments.cancel_top_up", top_up_id=waits["id"])
        fit("payments.confirm_test_payment", client_secret=waits["client_secret"], card="declined")
        card = self._post("owner", "/v1/payment-methods", {"token": "visa"})["id"]
        paid = self._post("owner", "/v1/top-ups", few | {"method_id": card})
        fit("payments.refund_top_up", top_up_id=paid["id"], amount=1)
        self._post("owner", "/v1/payout-accounts", {"country": "DE"})
        self._post("owner", "/v1/test-payments/onboard", {"status": "active"})
        self._post("owner", "/v1/payout-accounts", {"country": "DE"})  # reads at the provider what it is now
        fit("payments.create_payout_account", country="DE")
        asyncio.run(give_money(self._grants[0], UUID(self._users.people["owner"].user_id)))
        fit("payments.request_payout", **few)
        for name in ("payments.get_payout", "payments.cancel_payout"):
            fit(name, payout_id=self._post("owner", "/v1/payouts", few)["id"])

    @makes("auctions.resolve_signal")
    def _signals(self) -> None:
        signal_id = new_id()
        asyncio.run(self._raise(signal_id, UUID(self._auction())))
        self._users.fit("auctions.resolve_signal", signal_id=str(signal_id))

    async def _raise(self, signal_id: UUID, auction_id: UUID) -> None:
        """Raise a signal as the review of an auction does."""
        db = await asyncpg.connect(self._grants[0])
        await db.execute(
            "INSERT INTO auction_signals (signal_id, auction_id, seller_id, bidder_id, kind, score, evidence,"
            " raised_at_ms) VALUES ($1, $2, $1, $1, 'shielding', 50, '{}', 0)",
            signal_id,
            auction_id,
        )
        await db.close()

    @makes(
        "auth.sign_in_with_provider",
        "auth.link_provider",
        "auth.unlink_identity",
        "auth.verify_email",
        "auth.reset_password",
        "auth.change_password",
        "auth.change_email",
    )
    def _ways_in(self) -> None:
        """What providers and mails give to people."""
        fit = self._users.fit
        fit("auth.sign_in_with_provider", display_name="", device_token="", **new_proof(new_id().hex))
        fit("auth.link_provider", **new_proof(new_id().hex))
        proof = new_proof(new_id().hex)
        provider = proof.pop("provider")
        fit(
            "auth.unlink_identity",
            identity_id=self._post("owner", f"/v1/auth/oauth/{provider}/link", proof)["id"],
        )
        guest = Person(self._http, "guest", self._grants)
        guest.register()
        for purpose, operation in (
            ("verify_email", "auth.verify_email"),
            ("reset_password", "auth.reset_password"),
        ):
            token = secrets.token_urlsafe(32)
            asyncio.run(self._mail(guest, purpose, token))
            fit(operation, token=token)
        fit("auth.change_password", current_password=PASSWORD, new_password=PASSWORD)
        fit("auth.change_email", password=PASSWORD)

    async def _mail(self, person: Person, purpose: str, token: str) -> None:
        """Have a token of a mail, as the mail would carry it."""
        db = await asyncpg.connect(self._grants[0])
        await db.execute(
            "INSERT INTO account_tokens VALUES ($1, $2, $3, $4, 0, 9000000000000)",
            hashlib.sha256(token.encode()).digest(),
            UUID(person.user_id),
            purpose,
            person.email,
        )
        await db.close()

    @makes("auth.begin_totp", "auth.remove_totp", "auth.step_up", "auth.login_second_factor")
    def _factors(self) -> None:
        """Apps of people: one to be removed, one whose recovery codes are replaced, one that a sign-in waits for."""
        people = self._users.people
        if not self._recovery_codes:
            self._add_app(people["user"])
            self._recovery_codes = self._add_app(people["support"])
        self._users.fit("auth.begin_totp", password=PASSWORD)
        self._users.fit("auth.step_up", password=PASSWORD, code=None)
        self._users.fit("auth.remove_totp", code=self._recovery_codes.pop())
        guest = Person(self._http, "guest", self._grants)
        guest.register()
        recovery_code = self._add_app(guest)[0]
        body = {"email": guest.email, "password": PASSWORD}
        asked = self._http.post("/v1/auth/login", json=body).json()
        self._users.fit(
            "auth.login_second_factor",
            challenge=asked["challenge"],
            code=None,
            recovery_code=recovery_code,
            device_token="",
        )
        asyncio.run(self._stay_fresh())

    def _add_app(self, person: Person) -> list[str]:
        """Have a person's sign-ins need a code; return the recovery codes."""
        body = {"password": PASSWORD}
        began = self._http.post("/v1/auth/totp", json=body, headers=person.headers).raise_for_status().json()
        code = code_of(base64.b32decode(began["secret"]), now_instant() // STEP_MS)
        made = self._http.post("/v1/auth/totp/confirm", json={"code": code}, headers=person.headers)
        codes: list[str] = made.raise_for_status().json()["codes"]
        return codes

    async def _stay_fresh(self) -> None:
        """Keep sessions and challenges of now from growing old, however slow the machine is."""
        db = await asyncpg.connect(self._grants[0])
        await db.execute("UPDATE sessions SET fresh_at_ms = 9000000000000")
        await db.execute("UPDATE sign_in_challenges SET expires_at_ms = 9000000000000")
        await db.close()

    @makes(
        "payments.get_escrow",
        "payments.release_escrow",
        "payments.refund_escrow",
        "payments.freeze_escrow",
        "payments.unfreeze_escrow",
        "payments.resolve_escrow",
    )
    def _escrows(self) -> None:
        for name in (
            "get_escrow",
            "release_escrow",
            "refund_escrow",
            "freeze_escrow",
            "unfreeze_escrow",
            "resolve_escrow",
        ):
            frozen = name in {"unfreeze_escrow", "resolve_escrow"}
            payer, seller = (UUID(self._users.people[who].user_id) for who in ("user", "owner"))
            opening = open_paid_escrow(self._grants[0], payer, seller, frozen=frozen)
            self._users.fit(f"payments.{name}", escrow_id=str(asyncio.run(opening)), parts=None)

    @makes("payments.list_commission_versions", "payments.set_commission")
    def _commission(self) -> None:
        self._post("finance", "/v1/admin/commission-rules", {"rules": [{"basis_points": 0}]})
        self._users.fit("payments.list_commission_versions")
        self._users.fit("payments.set_commission", rules=[])

    @makes("auth.login", "auth.refresh", "auth.register", "auth.revoke_scope_token", "auth.end_session")
    def _accounts(self) -> None:
        guest = Person(self._http, "guest", self._grants)
        guest.register()
        self._users.fit("auth.login", email=guest.email, password=PASSWORD)
        self._users.fit("auth.refresh", refresh_token=guest.refresh_token)
        self._users.fit("auth.register", email=f"newcomer-{new_id()}@example.test")
        lent = self._post("owner", "/v1/auth/scope-tokens", {"channels": [f"auctions:{self._auction()}"]})
        self._users.fit("auth.revoke_scope_token", token_id=lent["id"])
        owner = self._users.people["owner"]
        self._http.post("/v1/auth/login", json={"email": owner.email, "password": PASSWORD})
        sessions = self._http.get("/v1/auth/sessions", headers=owner.headers).raise_for_status().json()
        ended = next(session["id"] for session in sessions["items"] if not session["current"])
        self._users.fit("auth.end_session", session_id=ended)
