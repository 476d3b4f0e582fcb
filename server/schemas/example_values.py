"""What the examples of both documents show: one story, in which a word means one thing wherever it stands.

Amina sells a leather travel bag in an English auction of 20 to 27 November 2026; four bids are there.
"""

import hashlib
import re
from typing import Any
from uuid import UUID

_MINTED_MS = 1_795_372_207_412
"""2026-11-22, 18:30:07 UTC: when the ids of the examples were made."""


def id_of(name: str) -> str:
    """Return the UUIDv7 that stands for a thing of this name, the same one everywhere."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])
    minted_ms = _MINTED_MS - digest % 600_000_000
    value = minted_ms << 80 | 0x7 << 76 | (digest >> 52 & 0xFFF) << 64 | 0b10 << 62 | digest & (1 << 62) - 1
    return str(UUID(int=value))


_IDS = {
    "bid": "bid_id",
    "buyer_id": "bidder_id",
    "by": "seller_id",
    "photo_ids": "photo_id",
    "ref": "auction_id",
    "resolved_by": "support_id",
    "seller": "seller_id",
}
"""Fields that name a thing that another field names too."""

_OWNERS = {
    "Entry": "entry_id",
    "EscrowView": "escrow_id",
    "ExchangeQuote": "quote_id",
    "FoundListing": "listing_id",
    "ListedAuction": "auction_id",
    "MatchedSearch": "search_id",
    "PageListing": "listing_id",
    "PageSeller": "seller_id",
    "SavedSearch": "search_id",
    "ScopeToken": "token_id",
    "ScopeTokenSummary": "token_id",
    "SecondChance": "offer_id",
    "WatchedAuction": "auction_id",
}
"""What `id` means in types that are not called like their thing."""

_OPENED = "2026-11-20T18:12:41.093Z"
_STARTED = "2026-11-20T18:30:00.000Z"
_NOW = "2026-11-22T18:30:07.412Z"
_ENDS = "2026-11-27T18:30:00.000Z"
_ENDED = "2026-11-27T18:30:00.021Z"
_LATER = "2026-11-29T18:30:00.021Z"
_TIMES = {
    "behind_since": "2026-11-22T18:29:41.008Z",
    "created_at": _OPENED,
    "since": "2025-03-08T16:20:37.905Z",
    "decided_at": "2026-11-21T08:03:55.620Z",
    "ends_at": _ENDS,
    "finished_at": "2026-12-01T01:00:04.318Z",
    "from": "2026-11-01T00:00:00.000Z",
    "expires_at": _LATER,
    "offered_at": _ENDED,
    "planned_end": _ENDS,
    "raised_at": _ENDED,
    "requested_at": "2026-11-20T21:47:19.254Z",
    "resolved_at": "2026-11-28T09:15:33.871Z",
    "set_at": "2026-09-01T07:00:00.000Z",
    "starts_at": _STARTED,
    "to": "2026-12-01T00:00:00.000Z",
    "until": _LATER,
}
"""Instants by field; any other is that of the fourth bid."""

_EVENT_TIMES = {
    "auction_opened": _OPENED,
    "auction_started": "2026-11-20T18:30:00.004Z",
    "ending_soon": "2026-11-27T17:30:00.006Z",
    "watched_auction_started": "2026-11-20T18:30:00.004Z",
    **dict.fromkeys(
        (
            "auction_closed",
            "auction_lost",
            "auction_sold",
            "auction_unsold",
            "auction_won",
            "bids_opened",
            "second_chance_offered",
        ),
        _ENDED,
    ),
    "second_chance_changed": "2026-11-28T07:42:10.377Z",
}
"""When an event happened, where that is not the instant of the fourth bid."""

_PHOTO = "019abd1e8c5a7b3e9d424f0c6a1b8e77"
CHANNEL = f"auctions:{id_of('auction_id')}"

_RULE = "Ivory and rhino horn are protected."
_RULES = ("AddGoodsRule", "ChangeGoodsRule", "GoodsReason", "GoodsRule")
_PAID = ("TopUp", "TopUpChanged", "TopUpRefund", "TestPayment")
_PAID_OUT = ("Payout", "PayoutChanged")

FIRST: dict[str, Any] = {
    "balanced": True,
    "buy_now_price": 4900,
    "channel": CHANNEL,
    "channels": CHANNEL,
    "commission": 0,
    "escrow": 0,
    "exchange": 0,
    "external": -1_250_000,
    "held": 12_500,
    "minimum_bid": 1300,
    "open_holds": 12_500,
    "payable": 0,
    "receivable": 0,
    "starting_price": 1000,
    "tax": 0,
    "trial_balance": 0,
    "wallets": 1_237_500,
    "category": "bags",
    "Approval.reason": "",
    "ApprovalChanged.reason": "",
    "AuctionOpened.minimum_bid": 1000,
    "CatalogueEntry.number": 702,
    "CatalogueEntry.status": 422,
    "CatalogueEntry.title": "The bid is below `minimum_bid`.",
    "Category.name": "Bags",
    "Exposure.limit": 50_000,
    "ExposureLimitChanged.limit": 50_000,
    "Facets.condition": [{"value": "used", "count": 81}],
    "Facets.currency": [{"value": "EUR", "count": 128}],
    "FoundListing.quantity": 4,
    "Listing.quantity": 4,
    "MatchedSearch.name": "Leather bags",
    "SetExposureLimit.limit": 50_000,
    "card": "visa",
    "CommissionAmounts.cap": 10_000,
    "CommissionAmounts.maximum": 5000,
    "CommissionAmounts.minimum": 50,
    "CommissionVersions.current": 3,
    "CurrencyTotals.balanced": True,
    "Difference.source": "pi_3PqZ7sLk9vTb2XcW",
    "Entry.reason": "hold",
    "EscrowLine.role": "seller",
    "EscrowNotice.left": 1250,
    "EscrowNotice.status": "open",
    "EscrowView.left": 1250,
    "EscrowView.status": "open",
    "FeeTax.basis_points": 1900,
    "FeeTax.country": "DE",
    "Money.bought": {"amount": 13_406, "currency": "USD"},
    "Money.buy": {"amount": 13_406, "currency": "USD"},
    "Money.sell": {"amount": 12_500, "currency": "EUR"},
    "Money.sold": {"amount": 12_500, "currency": "EUR"},
    "Money.spread": {"amount": 136, "currency": "USD"},
    "PayoutAccount.country": "DE",
    "SoldAmount.sell": {"amount": 12_500, "currency": "EUR"},
    "Statement.opening": 13_750,
    "TestAccount.bank": "pays",
    "Treasury.faulty_accounts": 0,
    "Treasury.faults": [],
    "Wallet.held": 1250,
    "Wallet.owed": 0,
    "Wallet.pending": 0,
    **{f"{owner}.failure": "" for owner in _PAID},
    **{f"{owner}.status": "succeeded" for owner in _PAID},
    **{f"{owner}.failure": "" for owner in _PAID_OUT},
    **{f"{owner}.status": "paid" for owner in _PAID_OUT},
    **{f"{owner}.reason": _RULE for owner in _RULES},
    **{f"{owner}.source": "CITES, appendix I" for owner in _RULES},
}
"""Values that go before what a field's type shows, by field, or by type and field."""

VALUES: dict[str, Any] = {
    "access_token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTlhYjNjMCJ9.c2lnbmF0dXJl",
    "after": 41,
    "before": 3,
    "bid_count": 4,
    "bidder": "7f3k9q2m",
    "bio": "I fly Cairo-Berlin twice a month, with room in my case.",
    "brand": "visa",
    "by_group": False,
    "caption": "The bag from the left.",
    "client": "5a1cf7f6-6c1d-4a55-8f0a-2f43a2d7b0c9",
    "close_grace_ms": 2000,
    "commitment": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a",
    "condition": "used",
    "count": 128,
    "current_password": "correct horse battery staple",
    "description": "Used twice, no scratches.",
    "display_name": "Amina",
    "email": "amina@example.org",
    "ends_within_s": 3600,
    "epoch": "k3Jd",
    "expires": "2030-12",
    "expires_in": 900,
    "expires_in_s": 172_800,
    "extend_s": 120,
    "extensions": 1,
    "failure": "Your card was declined.",
    "first_bid": True,
    "free": 37_500,
    "from_amount": 1000,
    "full": f"/v1/photos/{_PHOTO}-full.jpg",
    "has_reserve": True,
    "height": 1200,
    "increments": 50,
    "is_default": True,
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "label": "Screen in the shop window",
    "lag": 6,
    "last4": "4242",
    "lead_s": 3600,
    "leader": "7f3k9q2m",
    "listing_version": 3,
    "mask": "7f3k9q2m",
    "matches": 128,
    "max_extensions": 10,
    "maximum": 2100,
    "medium": f"/v1/photos/{_PHOTO}-medium.jpg",
    "message": "I collect these and pay within a day.",
    "name": "Bags",
    "next_after": 61,
    "nonce": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "note": "Two accounts of one household.",
    "number": 42,
    "offset": 42,
    "on_hand": 3,
    "onboarding_url": "https://connect.stripe.com/setup/e/acct_1PqZ7s",
    "parent": "fashion",
    "photo": f"/v1/photos/{_PHOTO}-small.jpg",
    "price": 1250,
    "prices": 2500,
    "q": "travel bag",
    "radius_m": 20_000,
    "reached": 1200,
    "readers": 214,
    "reason": "Sold counterfeit goods.",
    "refresh_token": "eyJhbGciOiJFZERTQSJ9.eyJzaWQiOiIwMTlhYjNjMCJ9.c2lnbmF0dXJl",
    "remind_before_s": 3600,
    "remote_ip": "203.0.113.7",
    "remaining": 0,
    "reserve_met": True,
    "reserve_price": 1200,
    "roles": "user",
    "saleable": 2,
    "score": 80,
    "slug": "bags",
    "small": f"/v1/photos/{_PHOTO}-small.jpg",
    "source": "Law 117 of 1983 on the protection of antiquities",
    "status": "active",
    "tick_s": 60,
    "to_amount": 2000,
    "token": "eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJjaGFubmVscyJ9.c2lnbmF0dXJl",
    "top": 48,
    "transaction": "0x5d1f3c9a7be24608d8f1c0a3e95b7246af80d3c1e6b92f7458a0c3d9e1f6b274",
    "ttl_s": 3600,
    "used": 12_500,
    "value": "bags",
    "version": 3,
    "volume_cm3": 18_000,
    "watcher_count": 17,
    "watching": True,
    "watching_now": 9,
    "weight_g": 1200,
    "width": 1600,
    "window_s": 120,
    "winner": "7f3k9q2m",
    "you_lead": True,
    "your_maximum": 2100,
}
"""Values of fields whose schemas have no example anywhere."""

ABSENT = frozenset(
    {"dutch", "maximum_bid", "commitment", "group_id", "winners", "units_held", "distance_m", "next_price_at"}
)
"""Fields that are null in the story where they can be: no Dutch, reverse or sealed auction."""

WORDS = (
    "english",
    "live",
    "active",
    "leading",
    "retracted",
    "sold",
    "used",
    "user",
    "newest",
    "ready",
    "ok",
)
"""What is shown of an enumeration that has one of them; else its first word."""


def identity(name: str, owner: str) -> str:
    """Return the id that a field of a type shows; `id` is the type's own."""
    if name in {"", "id"}:
        name = _OWNERS.get(owner) or re.sub(r"(?<!^)(?=[A-Z])", "_", owner).lower() + "_id"
    return id_of(_IDS.get(name, name))


def instant(name: str, event: str = "") -> str:
    """Return the instant that a field shows; `at` of an event is when that one happened."""
    return _EVENT_TIMES.get(event, _NOW) if name == "at" else _TIMES.get(name, _NOW)
