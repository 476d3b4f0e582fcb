"""Who may do what: whom each route's object lets in, and who may follow which kind of channel.

What a route's permission says is read from its table. Whom the object lets in besides is said in `OBJECTS`; a route
that takes an id must be there: `tests/architecture/test_route_coverage.py` fails until somebody has decided.
"""

from typing import Any

from handlers.contract import Permission, Route
from server.http.arguments import path_fields, reads_token

PEOPLE = ("anonymous", "owner", "party", "other", "support", "finance", "admin")
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
    "auth.get_profile": EVERYBODY,
    "auth.sign_in_with_provider": EVERYBODY,
    "auth.link_provider": EVERYBODY,
    "auth.unlink_identity": OWNER,
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
    "auctions.set_seller_notices": OWNER,
    "auctions.get_seller_notices": OWNER,
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
    "payments.list_entries": EVERYBODY,
    "ledger.get_inclusion_proof": EVERYBODY,
    "ledger.get_anchor": EVERYBODY,
    "payments.get_escrow": frozenset({"owner", "party", "support"}),
    "payments.release_escrow": OWNER,
    "payments.refund_escrow": frozenset({"party"}),
    "payments.freeze_escrow": EVERYBODY,
    "payments.unfreeze_escrow": EVERYBODY,
    "payments.resolve_escrow": EVERYBODY,
    "payments.get_statement": EVERYBODY,
    "payments.exchange": OWNER,
    "payments.set_exchange_terms": EVERYBODY,
    "payments.get_top_up": OWNER,
    "payments.cancel_top_up": OWNER,
    "payments.refund_top_up": OWNER,
    "payments.remove_method": OWNER,
    "payments.get_payout": OWNER,
    "payments.cancel_payout": OWNER,
}
"""Of the people whom the route's permission admits: whom the object lets in. Everybody who calls a route without ids
acts on what is theirs, so it needs no line."""

DENIALS = frozenset({"not_allowed", "own_auction", "own_listing"})
"""Refusals that are about who asks, beside those that hide the thing (404). A domain adds its own."""

PERMITTED = {
    Permission.ANYONE: EVERYBODY,
    Permission.SIGNED_IN: EVERYBODY - {"anonymous"},
    Permission.SUPPORT: frozenset({"support"}),
    Permission.FINANCE: frozenset({"finance"}),
    Permission.ADMIN: frozenset({"admin"}),
}

CHANNELS: dict[str, frozenset[str]] = {
    "auctions": EVERYBODY,
    "ticker": EVERYBODY,
    "stock": EVERYBODY,
    "personal": OWNER,
    "treasury": frozenset({"finance"}),
}
"""Who may follow a channel of the owner's things, by the word of its kind."""


def admitted(route: Route) -> frozenset[str]:
    """Return the people whom both the route's permission and its object let in."""
    return PERMITTED[route.permission] & OBJECTS.get(route.name, EVERYBODY)


def expected(route: Route, who: str) -> str:
    """Return what must happen to a call: in, denied, unauthenticated."""
    if who in LOCKED_OUT:
        return "unauthenticated" if reads_token(route) else "in"
    if who not in PERMITTED[route.permission]:
        return "unauthenticated" if who == "anonymous" else "denied"
    return "in" if who in admitted(route) else "denied"


def fields_with_ids(route: Route, operation: dict[str, Any]) -> list[str]:
    """Return the fields that name things: path parameters, and required ids of the example's body."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = [name for name in content.get("example", {}) if name.endswith("_id")]
    return [*path_fields(route), *body]
