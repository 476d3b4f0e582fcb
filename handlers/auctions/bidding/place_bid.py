"""Place bids: many commands in, one lock, one insert, one update, one answer each.

Rules: `apply_bid` in the auction's row of formats/table.py, dutch_rules.py `accept`, sealed_rules.py `seal`.
Channels: auctions:<id> gets every bid, ticker:<id> the last state of the batch. The personal channel of a bidder gets
`outbid` when the bidder led, or had more units, before or during the batch and does not after it, that of the seller
what the seller chose to be told.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct

from handlers.auctions.allocations import allocation_changes
from handlers.auctions.bidding.dutch_bids import BidRow, accept_price
from handlers.auctions.deposits.taking import Deposits, read_deposits
from handlers.auctions.formats.dutch_rules import price_at
from handlers.auctions.guards.admission import Guards, read_guards
from handlers.auctions.locking import LockedAuction, lock_auctions_with_groups, save_auctions
from handlers.auctions.notices.seller_notices import seller_events
from handlers.auctions.rules import AuctionState, follow_group, reserve_met, units_of
from handlers.auctions.sales import movement_event, movement_latest, settle_ended
from handlers.auctions.sealed_bids import SealedBidBatch, read_sealed_batch
from handlers.auctions.watching.watch_list import watch_as_bidders
from handlers.contract import Call, Event, Fact, Latest, Outcome, Stores, Timer
from protocols.auctions.commands import BidReceipt, PlaceBid
from protocols.auctions.events import AuctionExtended, BidPlaced, Outbid, UnitsHeld
from protocols.auctions.refusals import AuctionNotFound, TooManyUnits
from protocols.errors import Refusal
from protocols.topics import personal_channel
from protocols.values import new_id, to_timestamp
from storage.auctions.bids_postgres import insert_bids, insert_units_bids
from storage.listings.selling import MovedStock

UnitsBidRow = tuple[UUID, int, UUID, UUID, int, int, int, int]
"""A row of the bids table with its quantity."""


class _Accepted(Struct, kw_only=True, gc=False):
    """An accepted bid while others of the batch are still decided: it becomes an outcome when all of them are."""

    reply: BidReceipt
    events: list[Event]
    latest: list[Latest] = []  # msgspec makes a new one for each
    timers: Sequence[Timer] = ()
    facts: Sequence[Fact] = ()
    secret: bool = False

    def to_outcome(self) -> Outcome:
        """Return the answer to the bid."""
        return Outcome(self.reply, self.events, self.latest, self.timers, self.facts, secret=self.secret)


class _AuctionBids:
    """The bids of one auction within the batch."""

    __slots__ = ("auction", "ends_at", "last", "units_before")

    def __init__(self, auction: LockedAuction) -> None:
        self.auction = auction
        self.ends_at = to_timestamp(auction.state.ends_at_ms)
        self.last: _Accepted | None = None
        """The last accepted bid, or the bid on another auction of the group that extended this one."""
        self.units_before: dict[UUID, int] = {}
        """Who lost units within the batch, and how many they had before."""

    def announce(self, movements: Sequence[MovedStock]) -> None:
        """Add what is announced once per auction and batch to the last accepted bid."""
        auction, state, last = self.auction, self.auction.state, self.last
        if state is auction.loaded:
            return
        assert last is not None, "a bid has changed the state"
        last.latest.append(auction.latest())
        for moved in movements:
            last.events.append(movement_event(moved))
            last.latest.append(movement_latest(moved))
        last.events += seller_events(auction)
        for user_id, before in self.units_before.items():
            units = units_of(state, user_id)
            if units < before:
                outbid = Outbid(
                    auction_id=auction.terms.auction_id,
                    title=auction.terms.title,
                    currency=auction.terms.currency,
                    price=state.price,
                    minimum_bid=state.minimum_bid,
                    units=units,
                )
                last.events.append(Event(personal_channel(user_id), "outbid", outbid))


class _Batch:
    """What the bids of all auctions of the batch share, and the rows that they write."""

    __slots__ = ("bidders", "deposits", "guards", "rows", "sealed", "units_rows")

    def __init__(self, sealed: SealedBidBatch, guards: Guards | None, deposits: Deposits | None) -> None:
        self.sealed = sealed
        self.guards = guards
        self.deposits = deposits
        self.bidders: set[tuple[UUID, UUID]] = set()
        """Auction and bidder of the accepted bids."""
        self.rows: list[BidRow] = []
        self.units_rows: list[UnitsBidRow] = []

    async def write(self, stores: Stores, now_ms: int) -> None:
        """Write the accepted bids and take their deposits. Cost: one round trip for each kind of bid in the batch."""
        await insert_bids(stores.db, self.rows)
        await insert_units_bids(stores.db, self.units_rows)
        await self.sealed.write(stores)
        if self.deposits is not None:
            await self.deposits.write(stores.db, now_ms)


async def place_bid(
    calls: Sequence[Call[PlaceBid]],
    stores: Stores,
    now_ms: int,
) -> list[Outcome | Refusal]:
    """Judge each bid in the order given, by its receipt, and record the accepted ones; a refused one leaves no trace.

    Answers with: AuctionNotFound, AuctionNotLive, OwnAuction, BidTooLow, BidTooHigh,
    TooManyUnits, UnitsReduced, and those of `Guards.admit` and `Deposits.check`.
    """
    auctions = await lock_auctions_with_groups(stores.db, {call.command.auction_id for call in calls})
    bids_by_auction = {auction_id: _AuctionBids(auction) for auction_id, auction in auctions.items()}
    attempts = ((call.command.auction_id, call.caller.id) for call in calls)
    sealed = await read_sealed_batch(stores, auctions, calls)
    guards = await read_guards(stores.db, auctions, attempts)
    batch = _Batch(sealed, guards, await read_deposits(stores.db, auctions, calls))
    answers = [_apply(call, bids_by_auction, batch) for call in calls]
    await batch.write(stores, now_ms)
    await watch_as_bidders(stores.db, batch.bidders, calls[0].at_ms)
    movements = await settle_ended(stores.db, auctions.values(), now_ms)
    await save_auctions(stores.db, auctions.values())
    for auction_id, bids in bids_by_auction.items():
        bids.announce(movements.get(auction_id, ()))
    return [answer if isinstance(answer, Refusal) else answer.to_outcome() for answer in answers]


def _apply(
    call: Call[PlaceBid], bids_by_auction: dict[UUID, _AuctionBids], batch: _Batch
) -> _Accepted | Refusal:
    """Apply one bid by its auction's mechanism, or return why it is refused."""
    bids = bids_by_auction.get(call.command.auction_id)
    if bids is None:
        return AuctionNotFound()
    auction = bids.auction
    ends_at_ms = auction.state.ends_at_ms
    try:
        bids.last = accepted = _BID_MECHANISMS[auction.terms.rules.bid_mechanism](bids, call, batch)
    except Refusal as refusal:
        return refusal.with_traceback(
            None
        )  # its frames would keep the whole batch alive until a garbage collection
    batch.bidders.add((call.command.auction_id, call.caller.id))
    if batch.deposits is not None and (taken := batch.deposits.take(auction, call)) is not None:
        accepted.events.append(taken.event)
        accepted.timers = [*accepted.timers, taken.timer]
    if auction.state.ends_at_ms != ends_at_ms and auction.terms.sale.group_id is not None:
        _extend_group(bids, accepted, bids_by_auction.values(), call.at_ms)
    return accepted


def _accept_price(bids: _AuctionBids, call: Call[PlaceBid], batch: _Batch) -> _Accepted:
    """Buy at the price of the clock."""
    auction = bids.auction
    _check_quantity(auction, call)
    if batch.deposits is not None:
        batch.deposits.check(auction, call)
    if batch.guards is not None:
        batch.guards.admit(auction, call.caller.id, price_at(auction.terms.sale, call.at_ms))
    purchase = accept_price(auction, call.caller.id, call.command.amount, call.at_ms)
    batch.rows.append(purchase.row)
    return _Accepted(
        reply=purchase.receipt, events=purchase.events, timers=purchase.timers, facts=purchase.facts
    )


def _seal_bid(bids: _AuctionBids, call: Call[PlaceBid], batch: _Batch) -> _Accepted:
    """Record a bid that stays secret until the end."""
    _check_quantity(bids.auction, call)
    if batch.deposits is not None:
        batch.deposits.check(bids.auction, call)
    if batch.guards is not None:
        batch.guards.admit(bids.auction, call.caller.id)
    receipt, event = batch.sealed.add_bid(bids.auction, call)
    return _Accepted(reply=receipt, events=[event], secret=True)


def _check_quantity(auction: LockedAuction, call: Call[PlaceBid]) -> None:
    """Let a bid through that the auction has units for. Raises TooManyUnits."""
    quantity = auction.terms.sale.quantity
    if call.command.quantity > quantity:
        raise TooManyUnits(f"This auction sells {quantity}")


def _place_open_bid(bids: _AuctionBids, call: Call[PlaceBid], batch: _Batch) -> _Accepted:
    """Apply one bid that everybody sees. Raises the refusals of its rules, and then has changed nothing."""
    auction, bidder, amount, quantity = (
        bids.auction,
        call.caller.id,
        call.command.amount,
        call.command.quantity,
    )
    terms, before = auction.terms, auction.state
    apply_bid = terms.rules.apply_bid
    assert apply_bid is not None, "open formats have this rule"
    _check_quantity(auction, call)
    after = apply_bid(terms.sale, before, bidder, amount, call.at_ms, quantity)
    if batch.deposits is not None:
        batch.deposits.check(auction, call)
    if batch.guards is not None:
        batch.guards.admit(auction, bidder, amount * quantity, after)
    auction.state = after
    if before.leader_id is not None and after.leader_id != before.leader_id and not after.allocations:
        bids.units_before[before.leader_id] = 1
    if after.ends_at_ms != before.ends_at_ms:
        bids.ends_at = to_timestamp(after.ends_at_ms)
    number, bid_id = before.event_number + 1, new_id()
    row = (terms.auction_id, number, bid_id, bidder, amount, after.price, call.at_ms)
    units_held = units = None
    if terms.sale.quantity > 1:
        batch.units_rows.append((*row, quantity))
        units_held, units = _reallocate(bids, before), units_of(after, bidder)
    else:
        batch.rows.append(row)
    leads = after.leader_id == bidder or units
    outcome: Literal["leading", "outbid"] = "leading" if leads else "outbid"
    receipt = BidReceipt(
        bid_id=bid_id,
        offset=number,
        outcome=outcome,
        price=after.price,
        minimum_bid=after.minimum_bid,
        ends_at=bids.ends_at,
        units=units,
    )
    events = _bid_events(bids, call, number, bid_id, units_held)
    return _Accepted(reply=receipt, events=events)


def _bid_events(
    bids: _AuctionBids,
    call: Call[PlaceBid],
    number: int,
    bid_id: UUID,
    units_held: list[UnitsHeld] | None,
) -> list[Event]:
    """Return the events of an open bid that is the auction's newest one: the bid, and the extension it caused."""
    auction, terms, state = bids.auction, bids.auction.terms, bids.auction.state
    placed = BidPlaced(
        bid_id=bid_id,
        bidder=terms.mask(call.caller.id),
        price=state.price,
        minimum_bid=state.minimum_bid,
        leader=auction.leader,
        bid_count=state.bid_count,
        reserve_met=reserve_met(terms.sale, state),
        ends_at=bids.ends_at,
        quantity=call.command.quantity,
        units_held=units_held,
    )
    events = [Event(terms.channel, "bid_placed", placed, number)]
    if state.event_number != number:
        extended = AuctionExtended(ends_at=bids.ends_at, extensions=state.extensions)
        events.append(Event(terms.channel, "auction_extended", extended, state.event_number))
    return events


def _reallocate(bids: _AuctionBids, before: AuctionState) -> list[UnitsHeld]:
    """Note who lost units by the last bid, and return everybody whose units changed."""
    auction = bids.auction
    for allocation in before.allocations:
        bidder = allocation.bidder_id
        if units_of(auction.state, bidder) < allocation.units:
            bids.units_before[bidder] = max(bids.units_before.get(bidder, 0), allocation.units)
    return allocation_changes(auction, before)


_BID_MECHANISMS: dict[str, Callable[[_AuctionBids, Call[PlaceBid], _Batch], _Accepted]] = {
    "open": _place_open_bid,
    "clock": _accept_price,
    "sealed": _seal_bid,
}
"""How a bid takes effect, by the format's `bid_mechanism`. Each raises its refusals, and then has changed nothing."""


def _extend_group(
    cause: _AuctionBids, accepted: _Accepted, bids_of_batch: Iterable[_AuctionBids], at_ms: int
) -> None:
    """Move the ends of the other auctions of the group; their events leave with the bid that is the cause."""
    sale, ends_at_ms = cause.auction.terms.sale, cause.auction.state.ends_at_ms
    for other in bids_of_batch:
        theirs, before = other.auction.terms.sale, other.auction.state
        if other is cause or (theirs.seller_id, theirs.group_id) != (sale.seller_id, sale.group_id):
            continue
        other.auction.state = after = follow_group(before, ends_at_ms, at_ms)
        if after is before:
            continue
        other.ends_at = cause.ends_at
        extended = AuctionExtended(ends_at=cause.ends_at, extensions=after.extensions, by_group=True)
        accepted.events.append(other.auction.event("auction_extended", extended))
        other.last = accepted
