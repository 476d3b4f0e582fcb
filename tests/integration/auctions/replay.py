"""Rebuild auctions from what is append-only (events, bids, retractions); compare with the live row, byte for byte."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from handlers.auctions import rules
from handlers.auctions.formats import dutch_rules, sealed_rules
from handlers.auctions.locking import mask_bidder, read_terms_by_id
from protocols.auctions.audits import commitment_of
from protocols.values import to_timestamp
from server.cli.auditing import audit, instant
from storage.auctions.allocations_postgres import read_allocations

STATE = "status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions"


async def assert_replays(pool: asyncpg.Pool, auction_ids: Sequence[UUID]) -> int:
    """Check each auction; return how many were checked."""
    by_auction: defaultdict[UUID, dict[str, Any]] = defaultdict(
        lambda: {"events": [], "bids": {}, "gone": {}}
    )
    streams = {f"auctions:{auction_id}": auction_id for auction_id in auction_ids}
    ids = list(auction_ids)
    for stream, number, data, at_ms in await pool.fetch(
        "SELECT stream, number, data, at_ms FROM events WHERE stream = ANY($1) ORDER BY stream, number",
        list(streams),
    ):
        by_auction[streams[stream]]["events"].append((number, msgspec.json.decode(data), at_ms))
    for row in await pool.fetch("SELECT * FROM bids WHERE auction_id = ANY($1)", ids):
        by_auction[row["auction_id"]]["bids"][row["number"]] = row
    for row in await pool.fetch("SELECT * FROM sealed_bids WHERE auction_id = ANY($1)", ids):
        by_auction[row["auction_id"]]["bids"][row["number"]] = row
    for row in await pool.fetch("SELECT * FROM bid_retractions WHERE auction_id = ANY($1)", ids):
        by_auction[row["auction_id"]]["gone"].setdefault(row["number"], set()).add(row["bid_number"])
    async with pool.acquire() as db:
        terms_by_id = await read_terms_by_id(db, ids)
    rows = await pool.fetch(
        f"SELECT auction_id, leader_mask, {STATE} FROM auctions WHERE auction_id = ANY($1)",  # noqa: S608 - our own constant
        ids,
    )
    async with pool.acquire() as db:
        places = await read_allocations(db, ids)
    for auction_id, leader_mask, *live in rows:
        auction = terms_by_id[auction_id]
        replayed = rebuild(auction, **by_auction[auction_id])
        shares = tuple(rules.UnitAllocation(*place) for place in places.get(auction_id, ()))
        assert msgspec.json.encode(replayed) == msgspec.json.encode(rules.AuctionState(*live, shares))
        assert leader_mask == (replayed.leader_id and mask_bidder(auction.salt, replayed.leader_id))
    return len(rows)


async def assert_audited(market: Any, auction_ids: Sequence[UUID]) -> None:
    """The auditor finds every auction's course and result equal, from the public answer alone."""
    for auction_id in auction_ids:
        told, events = await read_audit(market, auction_id)
        assert audit(told, events).faults == []


async def read_audit(market: Any, auction_id: UUID, limit: int = 500) -> tuple[Any, list[Any]]:
    """Return the newest header and all events, page by page."""
    events, after = [], 0
    while after is not None:
        told = await market.call("get_audit", auction_id=auction_id, after=after, limit=limit)
        events += told.events
        after = told.next_after
    return told, events


def rebuild(auction: Any, events: list[tuple[int, dict[str, Any], int]], bids: dict, gone: dict) -> Any:
    """Return the state the log leads to; every event has to be the one that the rules would emit there."""
    terms = auction.sale
    (first, opened, opened_at_ms), *rest = events
    assert (first, opened["type"]) == (1, "auction_opened")
    state = rules.open_state(terms, opened_at_ms)
    assert opened["status"] == state.status
    standing: dict[int, rules.StandingBid] = {}
    extended_at = 0
    if terms.format == "dutch":
        return rebuild_dutch(terms, state, rest, bids)
    if auction.rules.bid_mechanism == "sealed":
        return rebuild_sealed(auction, state, rest, bids)
    for number, event, at_ms in rest:
        kind = event["type"]
        if kind == "auction_extended" and event.get("by_group"):
            assert number == state.event_number + 1
            state = rules.follow_group(state, instant(event["ends_at"]), state.ends_at_ms - 1)
            assert_shown(event, state, terms)
            continue
        if kind == "auction_extended":
            assert (number, event["ends_at"]) == (extended_at, to_timestamp(state.ends_at_ms))
            continue
        assert number == state.event_number + 1
        if kind == "bid_placed":
            bid = bids.pop(number)
            after = auction.rules.apply_bid(
                terms, state, bid["bidder_id"], bid["amount"], bid["at_ms"], bid["quantity"]
            )
            assert event.get("quantity", 1) == bid["quantity"]
            extended_at = after.event_number if after.event_number == number + 1 else 0
            standing[number] = rules.StandingBid(
                number, bid["bidder_id"], bid["amount"], bid["at_ms"], bid["quantity"]
            )
            assert (event["bid_id"], event["price"]) == (str(bid["bid_id"]), bid["price"])
            assert event["bidder"] == mask_bidder(auction.salt, bid["bidder_id"])
        elif kind == "bid_retracted":
            after = _take_back(event, auction, state, standing, gone.pop(number), at_ms)
        else:
            after = _apply_other(terms, state, event, at_ms, bids)
        assert_units_shown(event, auction, state, after)
        state = after
        assert_shown(event, state, terms)
    assert not bids, "every bid has its event"
    assert not gone, "every retraction has its event"
    return state


def _take_back(
    event: dict[str, Any], auction: Any, state: Any, standing: dict, taken: set[int], at_ms: int
) -> Any:
    """Return the state after a retraction by the rules, from all bids that stand."""
    (whose,) = {standing[place].bidder_id for place in taken}
    own = [bid for bid in standing.values() if bid.bidder_id == whose]
    if "reason" not in event:
        assert taken == rules.choose_retracted(state, own, max(taken), at_ms)
    for place in taken:
        del standing[place]
    deciding = standing.values()
    if auction.sale.quantity > 1:
        deciding = {bid.bidder_id: bid for bid in deciding}.values()
    return auction.rules.retract(auction.sale, state, deciding, len(standing))


def rebuild_dutch(terms: Any, state: Any, events: list[tuple[int, dict[str, Any], int]], bids: dict) -> Any:
    """The same for a Dutch auction."""
    for number, event, at_ms in events:
        if event["type"] == "auction_started":
            state = rules.start(state)
        elif event["type"] == "bid_placed":
            bid = bids.pop(number)
            state = dutch_rules.accept(terms, state, bid["bidder_id"], bid["amount"], bid["at_ms"])
        elif event["outcome"] == "cancelled":
            live = state.status == "live"
            state = rules.cancel(terms, state, terms.seller_id, at_ms)
            state = dutch_rules.stop_clock(terms, state, at_ms) if live else state
        elif event["outcome"] == "unsold":
            assert at_ms >= terms.ends_at_ms
            state = dutch_rules.stop_clock(terms, rules.close(terms, state), terms.ends_at_ms)
        assert number == state.event_number - (event["type"] == "bid_placed")
        if event["type"] != "auction_started":
            assert event["price"] == state.price
    assert not bids
    return state


def rebuild_sealed(
    auction: Any, state: Any, events: list[tuple[int, dict[str, Any], int]], bids: dict
) -> Any:
    """The same for a sealed auction, from commitments and openings."""
    terms, placed, opened = auction.sale, {}, []
    for number, event, at_ms in events:
        if event["type"] == "auction_started":
            state = rules.start(state)
        elif event["type"] == "bid_placed":
            placed[number] = event["commitment"]
            bid = bids[number]
            before = {bids[n]["bidder_id"] for n in placed if n != number}
            replaces = bid["bidder_id"] in before
            amount = bid["amount"] or terms.starting_price  # replaced and unopened ones stay closed
            state = sealed_rules.seal(terms, state, bid["bidder_id"], amount, bid["at_ms"], replaces=replaces)
            assert bid["commitment"].hex() == event["commitment"]
            assert event["price"] == terms.starting_price == state.price
        elif event["type"] == "bids_opened":
            for one in event["openings"]:
                bid = bids[one["offset"]]
                assert (one["amount"], one["nonce"]) == (bid["amount"], bid["nonce"].hex())
                asked = one.get("quantity")
                told = commitment_of(auction.auction_id, one["bidder"], one["amount"], one["nonce"], asked)
                assert told == placed[one["offset"]]
                assert bid["quantity"] == (asked or 1)
                opened.append(
                    sealed_rules.OpenedBid(one["offset"], bid["bidder_id"], one["amount"], asked or 1)
                )
            continue
        elif event["outcome"] == "cancelled":
            state = rules.cancel(terms, state, terms.seller_id, at_ms)
        else:
            assert at_ms >= terms.ends_at_ms
            before, state = state, sealed_rules.open_bids(terms, state, opened)
            assert_units_shown(event, auction, before, state)
            assert len(opened) == len({bid["bidder_id"] for bid in bids.values()})
        assert number == state.event_number
        if event["type"] != "auction_started":
            assert event["price"] == state.price
    assert set(bids) == set(placed)
    return state


def _apply_other(terms: Any, state: Any, event: dict[str, Any], at_ms: int, bids: dict) -> Any:
    """Return the state after a start or an ending."""
    if event["type"] == "auction_started":
        return rules.start(state)
    assert event["type"] == "auction_closed"
    if event["outcome"] == "cancelled":
        return rules.cancel(terms, state, terms.seller_id, at_ms)
    if event["bought_now"]:
        bought = bids.pop(state.event_number + 1)
        return rules.buy_now(terms, state, bought["bidder_id"], bought["at_ms"])
    if event.get("ended_early"):
        return rules.end_early(terms, state, terms.seller_id, at_ms)
    assert at_ms >= state.ends_at_ms, "an auction must never close early"
    return rules.close(terms, state)


def assert_units_shown(event: dict[str, Any], auction: Any, before: Any, after: Any) -> None:
    """An event of an auction of several units tells whose units changed; the close tells all winners."""
    if auction.sale.quantity == 1:
        assert "units_held" not in event
        assert "winners" not in event
        return
    had, has = (
        {
            mask_bidder(auction.salt, allocation.bidder_id): allocation.units
            for allocation in state.allocations
        }
        for state in (before, after)
    )
    if "units_held" in event:
        told = {change["bidder"]: change["units"] for change in event["units_held"]}
        assert {who: units for who, units in (had | told).items() if units} == has
    if after.status == "sold":
        assert [(share["winner"], share["quantity"]) for share in event["winners"]] == list(has.items())
        assert {share["price"] for share in event["winners"]} == {after.price}


def assert_shown(event: dict[str, Any], state: Any, terms: Any) -> None:
    """What the public event says is what the rules say."""
    truth = {
        "price": state.price,
        "minimum_bid": state.minimum_bid,
        "bid_count": state.bid_count,
        "reserve_met": rules.reserve_met(terms, state),
        "ends_at": to_timestamp(state.ends_at_ms),
        "outcome": state.status,
    }
    assert {name: event[name] for name in truth if name in event} == {
        name: value for name, value in truth.items() if name in event
    }
