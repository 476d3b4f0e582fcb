"""Place bids: many commands in, one lock, one insert, one update, one answer each.

Rules: rules.py `judge_bid`, dutch_rules.py `accept`, sealed_rules.py `seal`.
Channels: auctions:<id> every bid, ticker:<id> the last state of the batch, personal of those who led before the batch
or during it and do not lead after it.
"""

from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.dutch_bids import BidRow, accept_price
from handlers.auctions.dutch_rules import price_at
from handlers.auctions.guards import Guards, open_guards
from handlers.auctions.lots import Held, hold_with_groups, save
from handlers.auctions.rules import follow_group, judge_bid, reserve_met
from handlers.auctions.sales import sell_listings
from handlers.auctions.sealed_bids import SealedBook, open_book
from handlers.contract import Call, Event, Latest, Outcome, Stores
from protocols.auctions import AuctionExtended, AuctionNotFound, BidPlaced, BidReceipt, Outbid, PlaceBid
from protocols.errors import Refusal
from protocols.topics import personal_channel
from protocols.values import new_id, to_timestamp
from storage.auctions.bids_postgres import insert_bids


class _Bidding:
    """One auction within the batch. Events and ticker of its last bid are lists that are filled at the end."""

    __slots__ = ("displaced", "ends_at", "events", "extended", "held", "latest")

    def __init__(self, held: Held) -> None:
        self.held = held
        self.ends_at = to_timestamp(held.state.ends_at_ms)
        self.extended = False
        """Whether its last bid moved the end."""
        self.displaced: set[UUID] = set()
        self.events: list[Event] = []
        self.latest: list[Latest] = []


async def place_bid(
    calls: Sequence[Call[PlaceBid]],
    stores: Stores,
    now_ms: int,
) -> list[Outcome | Refusal]:
    """Judge each bid in the order given, by its receipt, and record the accepted ones; a refused one leaves no trace.

    Answers with: AuctionNotFound, AuctionNotLive, OwnAuction, BidTooLow, and those of guards.py `admit`.
    """
    held = await hold_with_groups(stores.db, {call.command.auction_id for call in calls})
    biddings = {auction_id: _Bidding(one) for auction_id, one in held.items()}
    rows: list[BidRow] = []
    book = await open_book(stores, held, calls)
    guards = await open_guards(stores.db, held, ((c.command.auction_id, c.caller.id) for c in calls))
    answers: list[Outcome | Refusal] = []
    for call in calls:
        bidding = biddings.get(call.command.auction_id)
        try:
            if bidding is None:
                answers.append(AuctionNotFound())
            elif bidding.held.lot.terms.format == "english":
                answers.append(_place(bidding, call, rows, guards))
                if bidding.extended and bidding.held.lot.terms.group_id is not None:
                    _extend_group(bidding, biddings.values(), call.at_ms)
            else:
                answers.append(_place_otherwise(bidding, call, rows, book, guards))
        except Refusal as refusal:
            answers.append(refusal)
    await insert_bids(stores.db, rows)
    await book.write(stores)
    sold = await sell_listings(stores.db, held.values(), now_ms)
    await save(stores.db, held.values())
    for auction_id, event in sold.items():
        biddings[auction_id].events.append(event)
    for bidding in biddings.values():
        _announce(bidding)
    return answers


def _place_otherwise(
    bidding: _Bidding, call: Call[PlaceBid], rows: list[BidRow], book: SealedBook, guards: Guards | None
) -> Outcome:
    """Apply one bid to an auction of another format. Raises its refusals, and then has changed nothing."""
    held = bidding.held
    if guards is not None:
        dutch = held.lot.terms.format == "dutch"
        guards.admit(held, call.caller.id, price_at(held.lot.terms, call.at_ms) if dutch else None)
    if held.lot.terms.format == "dutch":
        outcome = accept_price(held, call.caller.id, call.command.amount, call.at_ms, rows)
        bidding.events = list(outcome.events)
        return replace(outcome, events=bidding.events)
    bidding.latest = []
    return book.place(held, call, bidding.latest)


def _place(bidding: _Bidding, call: Call[PlaceBid], rows: list[BidRow], guards: Guards | None) -> Outcome:
    """Apply one bid to its English auction. Raises its refusals, and then has changed nothing."""
    held, bidder, amount = bidding.held, call.caller.id, call.command.amount
    lot, before = held.lot, held.state
    after = judge_bid(lot.terms, before, bidder, amount, call.at_ms)
    if guards is not None:
        guards.admit(held, bidder, amount, after)
    held.state = after
    if before.leader_id is not None and after.leader_id != before.leader_id:
        bidding.displaced.add(before.leader_id)
    number = before.event_number + 1
    bidding.extended = after.ends_at_ms != before.ends_at_ms
    if bidding.extended:
        bidding.ends_at = to_timestamp(after.ends_at_ms)
    ends_at, price, minimum_bid = bidding.ends_at, after.price, after.minimum_bid
    bid_id = new_id()
    rows.append((lot.auction_id, number, bid_id, bidder, amount, price, call.at_ms))
    placed = BidPlaced(
        bid_id,
        lot.mask(bidder),
        price,
        minimum_bid,
        held.leader,
        after.bid_count,
        reserve_met(lot.terms, after),
        ends_at,
    )
    events = [Event(lot.channel, "bid_placed", placed, number)]
    if after.event_number != number:
        extended = AuctionExtended(ends_at, after.extensions)
        events.append(Event(lot.channel, "auction_extended", extended, after.event_number))
    bidding.events, bidding.latest = events, []
    outcome: Literal["leading", "outbid"] = "leading" if after.leader_id == bidder else "outbid"
    return Outcome(BidReceipt(bid_id, number, outcome, price, minimum_bid, ends_at), events, bidding.latest)


def _extend_group(cause: _Bidding, biddings: Iterable[_Bidding], at_ms: int) -> None:
    """Move the ends of the other lots of the group; their events leave with the bid that is the cause."""
    terms, ends_at_ms = cause.held.lot.terms, cause.held.state.ends_at_ms
    for other in biddings:
        theirs, before = other.held.lot.terms, other.held.state
        if other is cause or (theirs.seller_id, theirs.group_id) != (terms.seller_id, terms.group_id):
            continue
        other.held.state = after = follow_group(before, ends_at_ms, at_ms)
        if after is before:
            continue
        other.ends_at = cause.ends_at
        extended = AuctionExtended(cause.ends_at, after.extensions, by_group=True)
        cause.events.append(other.held.event("auction_extended", extended))
        other.events, other.latest = cause.events, cause.latest


def _announce(bidding: _Bidding) -> None:
    """Add what is said once per auction and batch to the outcome of the auction's last bid."""
    held = bidding.held
    if held.state is held.loaded:
        return
    bidding.latest.append(held.latest())
    state = held.state
    for user_id in bidding.displaced:
        if user_id == state.leader_id:
            continue
        notice = Outbid(held.lot.auction_id, state.price, state.minimum_bid)
        bidding.events.append(Event(personal_channel(user_id), "outbid", notice))
