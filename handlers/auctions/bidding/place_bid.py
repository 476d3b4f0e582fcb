"""Place bids: many commands in, one lock, one insert, one update, one answer each.

Rules: `judge` in the auction's row of formats.py, dutch_rules.py `accept`, sealed_rules.py `seal`.
Channels: auctions:<id> every bid, ticker:<id> the last state of the batch, personal of those who led (had more units)
before the batch or during it and do not (have fewer) after it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal
from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.bidding.dutch_bids import BidRow, accept_price
from handlers.auctions.formats.dutch_rules import price_at
from handlers.auctions.guards.admission import Guards, open_guards
from handlers.auctions.locking import Held, hold_with_groups, save
from handlers.auctions.rules import AuctionState, follow_group, reserve_met, units_of
from handlers.auctions.sales import event_of, latest_of, settle_ended
from handlers.auctions.sealed_bids import SealedBook, open_book
from handlers.auctions.units import changes_of
from handlers.auctions.watching.watch_list import watch_as_bidders
from handlers.contract import Call, Event, Latest, Outcome, Stores
from protocols.auctions.commands import BidReceipt, PlaceBid
from protocols.auctions.events import AuctionExtended, BidPlaced, Outbid, UnitsHeld
from protocols.auctions.refusals import AuctionNotFound, TooManyUnits
from protocols.errors import Refusal
from protocols.topics import personal_channel
from protocols.values import new_id, to_timestamp
from storage.auctions.bids_postgres import insert_bids, insert_units_bids

UnitsBidRow = tuple[UUID, int, UUID, UUID, int, int, int, int]
"""A row of the bids table with its quantity."""


class _Bidding:
    """One auction within the batch. Events and ticker of its last bid are lists that are filled at the end."""

    __slots__ = ("displaced", "ends_at", "events", "extended", "held", "latest")

    def __init__(self, held: Held) -> None:
        self.held = held
        self.ends_at = to_timestamp(held.state.ends_at_ms)
        self.extended = False
        """Whether its last bid moved the end."""
        self.displaced: dict[UUID, int] = {}
        """Who lost units within the batch, and how many they had before."""
        self.events: list[Event] = []
        self.latest: list[Latest] = []


async def place_bid(
    calls: Sequence[Call[PlaceBid]],
    stores: Stores,
    now_ms: int,
) -> list[Outcome | Refusal]:
    """Judge each bid in the order given, by its receipt, and record the accepted ones; a refused one leaves no trace.

    Answers with: AuctionNotFound, AuctionNotLive, OwnAuction, BidTooLow, BidTooHigh, TooManyUnits, UnitsReduced, and
    those of guards.py `admit`.
    """
    held = await hold_with_groups(stores.db, {call.command.auction_id for call in calls})
    biddings = {auction_id: _Bidding(one) for auction_id, one in held.items()}
    attempts = ((call.command.auction_id, call.caller.id) for call in calls)
    batch = _Batch(await open_book(stores, held, calls), await open_guards(stores.db, held, attempts))
    answers: list[Outcome | Refusal] = []
    for call in calls:
        bidding = biddings.get(call.command.auction_id)
        try:
            if bidding is None:
                answers.append(AuctionNotFound())
            else:
                answers.append(_WAYS[bidding.held.lot.rules.way](bidding, call, batch))
                if bidding.extended and bidding.held.lot.terms.group_id is not None:
                    _extend_group(bidding, biddings.values(), call.at_ms)
        except Refusal as refusal:
            answers.append(refusal)
    await insert_bids(stores.db, batch.rows)
    await insert_units_bids(stores.db, batch.units_rows)
    await batch.book.write(stores)
    await watch_as_bidders(stores.db, calls, answers)
    settled = await settle_ended(stores.db, held.values(), now_ms)
    await save(stores.db, held.values())
    for auction_id, moved in settled.items():
        biddings[auction_id].events += map(event_of, moved)
        biddings[auction_id].latest += map(latest_of, moved)
    for bidding in biddings.values():
        _announce(bidding)
    return answers


class _Batch:
    """What the bids of all auctions of the batch are written to."""

    __slots__ = ("book", "guards", "rows", "units_rows")

    def __init__(self, book: SealedBook, guards: Guards | None) -> None:
        self.book = book
        self.guards = guards
        self.rows: list[BidRow] = []
        self.units_rows: list[UnitsBidRow] = []


def _accept(bidding: _Bidding, call: Call[PlaceBid], batch: _Batch) -> Outcome:
    """Buy at the price of the clock."""
    _check_quantity(bidding, call)
    held = bidding.held
    if batch.guards is not None:
        batch.guards.admit(held, call.caller.id, price_at(held.lot.terms, call.at_ms))
    outcome = accept_price(held, call.caller.id, call.command.amount, call.at_ms, batch.rows)
    bidding.events, bidding.latest = list(outcome.events), list(outcome.latest)
    return replace(outcome, events=bidding.events, latest=bidding.latest)


def _seal(bidding: _Bidding, call: Call[PlaceBid], batch: _Batch) -> Outcome:
    """Close one bid."""
    _check_quantity(bidding, call)
    if batch.guards is not None:
        batch.guards.admit(bidding.held, call.caller.id)
    bidding.latest = []
    return batch.book.place(bidding.held, call, bidding.latest)


def _check_quantity(bidding: _Bidding, call: Call[PlaceBid]) -> None:
    """Let a bid through that the lot has units for. Raises TooManyUnits."""
    quantity = bidding.held.lot.terms.quantity
    if call.command.quantity > quantity:
        raise TooManyUnits(f"This auction sells {quantity}")


def _place(bidding: _Bidding, call: Call[PlaceBid], batch: _Batch) -> Outcome:
    """Apply one bid that everybody sees. Raises the refusals of its rules, and then has changed nothing."""
    held, bidder, amount, quantity = bidding.held, call.caller.id, call.command.amount, call.command.quantity
    lot, before = held.lot, held.state
    judge = lot.rules.judge
    assert judge is not None, "open formats have a judge"
    _check_quantity(bidding, call)
    after = judge(lot.terms, before, bidder, amount, call.at_ms, quantity)
    if batch.guards is not None:
        batch.guards.admit(held, bidder, amount * quantity, after)
    held.state = after
    if before.leader_id is not None and after.leader_id != before.leader_id and not after.places:
        bidding.displaced[before.leader_id] = 1
    number = before.event_number + 1
    bidding.extended = after.ends_at_ms != before.ends_at_ms
    if bidding.extended:
        bidding.ends_at = to_timestamp(after.ends_at_ms)
    ends_at, price, minimum_bid = bidding.ends_at, after.price, after.minimum_bid
    bid_id = new_id()
    row = (lot.auction_id, number, bid_id, bidder, amount, price, call.at_ms)
    units_held = units = None
    if lot.terms.quantity > 1:
        batch.units_rows.append((*row, quantity))
        units_held, units = _move_units(bidding, before), units_of(after, bidder)
    else:
        batch.rows.append(row)
    placed = BidPlaced(
        bid_id,
        lot.mask(bidder),
        price,
        minimum_bid,
        held.leader,
        after.bid_count,
        reserve_met(lot.terms, after),
        ends_at,
        None,
        quantity,
        units_held,
    )
    events = [Event(lot.channel, "bid_placed", placed, number)]
    if after.event_number != number:
        extended = AuctionExtended(ends_at, after.extensions)
        events.append(Event(lot.channel, "auction_extended", extended, after.event_number))
    bidding.events, bidding.latest = events, []
    leads = after.leader_id == bidder or units
    outcome: Literal["leading", "outbid"] = "leading" if leads else "outbid"
    receipt = BidReceipt(bid_id, number, outcome, price, minimum_bid, ends_at, units=units)
    return Outcome(receipt, events, bidding.latest)


def _move_units(bidding: _Bidding, before: AuctionState) -> list[UnitsHeld]:
    """Note who lost units by the last bid, and return everybody's whose changed."""
    held = bidding.held
    for place in before.places:
        if units_of(held.state, place.bidder_id) < place.units:
            had = bidding.displaced.get(place.bidder_id, 0)
            bidding.displaced[place.bidder_id] = max(had, place.units)
    return changes_of(held, before)


_WAYS: dict[str, Callable[[_Bidding, Call[PlaceBid], _Batch], Outcome]] = {
    "open": _place,
    "clock": _accept,
    "sealed": _seal,
}
"""How a bid takes effect, by the format's `way`. Each raises its refusals, and then has changed nothing."""


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
    for user_id, had in bidding.displaced.items():
        units = units_of(state, user_id)
        if units >= had:
            continue
        notice = Outbid(held.lot.auction_id, state.price, state.minimum_bid, units)
        bidding.events.append(Event(personal_channel(user_id), "outbid", notice))
