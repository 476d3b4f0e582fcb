"""The rules of an English auction, and the life that all formats share, as pure functions: state in, next state out.

Other formats: formats/table.py; all use the same `SaleTerms` and `AuctionState`.

Amounts are minor units, instants milliseconds. A function that returns a state has decided one command; the events it
stands for take the numbers after the old state's `event_number`, in order: the change itself, then the extension if
`ends_at_ms` moved. Replaying the recorded commands gives the recorded state.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from protocols.auctions.guards import AuctionNotEndable
from protocols.auctions.refusals import (
    AuctionNotCancellable,
    AuctionNotLive,
    BidNotRetractable,
    BidTooLow,
    BuyNowUnavailable,
    OwnAuction,
)
from protocols.auctions.terms import Format
from protocols.errors import NotAllowed
from protocols.values import AMOUNT_MAX

HOUR_MS = 3_600_000

LATE_PHASE_MS = 12 * HOUR_MS
"""Retraction is narrowed with this much time left or less, cancellation with less (early end)."""

LATE_RETRACTION_MS = HOUR_MS
"""How old a bid may be that is retracted in the late phase."""

CLOSE_GRACE_MS = 25
"""How long after its end an auction is closed: a bid received before the end is judged by its receipt, and one commit
(about 20 ms) may be under way before it. Part of the 100 ms that a closing may be late."""

CLOSE_WAIT_MAX_MS = 1_000
"""How long an auction waits for bids that a server received before the end and has not committed: twice the longest
queue."""

CLOSE_RETRY_MS = 20
"""When a closing that waits looks again."""

EBAY_STEPS: tuple[tuple[int | None, int], ...] = (
    (1_00, 5),
    (5_00, 25),
    (25_00, 50),
    (100_00, 1_00),
    (250_00, 2_50),
    (500_00, 5_00),
    (1_000_00, 10_00),
    (2_500_00, 25_00),
    (5_000_00, 50_00),
    (None, 100_00),
)
"""The default increments in hundredths: below the limit, the step."""


class Steps(Struct, frozen=True):
    """An increment table: `steps[i]` holds below `limits[i]`, the last step above all limits."""

    limits: tuple[int, ...]
    steps: tuple[int, ...]

    def at(self, price: int) -> int:
        """Return the least raise at this price; it depends on the price, not on the bid."""
        return self.steps[bisect_right(self.limits, price)]


class SoftCloseTerms(Struct, frozen=True):
    """A bid in the last `window_ms` moves the end to `extend_ms` from its receipt."""

    window_ms: int
    extend_ms: int
    max_extensions: int


class Fall(Struct, frozen=True):
    """How the price of a Dutch auction falls."""

    floor_price: int
    step: int
    tick_ms: int


class SaleTerms(Struct, frozen=True):
    """What the seller fixed when the auction was opened; it never changes."""

    seller_id: UUID
    starting_price: int
    reserve_price: int | None
    buy_now_price: int | None
    starts_at_ms: int
    ends_at_ms: int
    """The end before any extension."""
    steps: Steps
    soft_close: SoftCloseTerms | None
    format: Format = "english"
    fall: Fall | None = None
    """Given for Dutch auctions, and for these alone."""
    group_id: UUID | None = None
    """Auctions of this seller with the same group close together."""
    quantity: int = 1
    """Equal units for sale; one price for all of them."""
    exposure_guard: bool = False
    """Bids have to be covered by what their bidder has free; guard_rules.py."""
    wallet_guard: bool = False
    """They have to be covered by the bidder's wallet, too; only with `exposure_guard`."""
    needs_approval: bool = False
    """Bidders have to be approved by the seller."""
    deposit: int | None = None
    """What a bidder's first bid takes off the wallet until the auction is over."""


class UnitAllocation(Struct, frozen=True, gc=False):
    """A bid that gets some of several units."""

    bidder_id: UUID
    amount: int
    """Offered for each unit."""
    quantity: int
    """Units asked for."""
    units: int
    """Units it gets: only the last bid served may get fewer than it asked for."""
    number: int
    """The event of the bid; of equal amounts the earlier is served first."""


class AuctionState(Struct, frozen=True, gc=False):
    """Everything about an auction that bids and time change."""

    status: str
    event_number: int
    price: int
    minimum_bid: int
    leader_id: UUID | None
    leader_max: int
    """The leader's hidden limit: the maximum, in a reverse auction the minimum; 0 without a leader."""
    bid_count: int
    ends_at_ms: int
    extensions: int
    allocations: tuple[UnitAllocation, ...] = ()
    """Who gets the units, best first; the first is the leader. Empty for an auction of one unit."""


# -- Increment tables ----------------------------------------------------------------------------------------


def default_steps(exponent: int) -> Steps:
    """Return the default increment table for a currency with this many decimals.

    The table is scaled by powers of ten; a fraction of a minor unit is rounded up, so a step is never zero.
    """
    return Steps(
        limits=tuple(_scale(limit, exponent) for limit, _ in EBAY_STEPS if limit is not None),
        steps=tuple(_scale(step, exponent) for _, step in EBAY_STEPS),
    )


def to_rows(steps: Steps) -> list[tuple[int | None, int]]:
    """Return a table as `custom_steps` takes it."""
    return list(zip((*steps.limits, None), steps.steps, strict=True))


def _scale(hundredths: int, exponent: int) -> int:
    scale: int = 10**exponent
    return -(-hundredths * scale // 100)


def custom_steps(rows: Sequence[tuple[int | None, int]]) -> Steps:
    """Return a seller's own table; the last row's limit may be null and never bounds its step.

    Raises: ValueError unless limits ascend and are given in all rows but the last.
    """
    limits = [limit for limit, _ in rows[:-1] if limit is not None]
    if len(limits) != len(rows) - 1:
        raise ValueError("only the last row may have no limit")
    last = rows[-1][0]
    ordered = limits if last is None else [*limits, last]
    if any(low >= high for low, high in pairwise(ordered)):
        raise ValueError("limits must ascend")
    if any(step < 1 for _, step in rows) or any(limit < 1 for limit in ordered):
        raise ValueError("limits and steps must be positive")
    return Steps(tuple(limits), tuple(step for _, step in rows))


# -- Life ----------------------------------------------------------------------------------------------------


def open_state(terms: SaleTerms, now_ms: int) -> AuctionState:
    """Return the state of a new auction: its opening is event 1."""
    return AuctionState(
        status="live" if terms.starts_at_ms <= now_ms else "scheduled",
        event_number=1,
        price=terms.starting_price,
        minimum_bid=terms.starting_price,
        leader_id=None,
        leader_max=0,
        bid_count=0,
        ends_at_ms=terms.ends_at_ms,
        extensions=0,
    )


def start(state: AuctionState) -> AuctionState:
    """Return a scheduled auction as live."""
    return replace(state, status="live", event_number=state.event_number + 1)


def close(terms: SaleTerms, state: AuctionState) -> AuctionState:
    """Return the auction after its end: sold when somebody leads and the reserve is met."""
    sold = state.leader_id is not None and reserve_met(terms, state)
    return replace(state, status="sold" if sold else "unsold", event_number=state.event_number + 1)


def closing_time(ends_at_ms: int) -> int:
    """Return when an auction with this end is closed: bids received before the end have been recorded by then."""
    return ends_at_ms + CLOSE_GRACE_MS


def must_wait(ends_at_ms: int, oldest_queued_ms: int | None, now_ms: int) -> bool:
    """Return whether a closing has to wait: a server that holds bids on the auction holds some of before the end.

    `oldest_queued_ms` is the receipt of the oldest bid of such a server, None when there is none.
    """
    queued = oldest_queued_ms is not None and oldest_queued_ms < ends_at_ms
    return queued and now_ms < ends_at_ms + CLOSE_WAIT_MAX_MS


def cancel(terms: SaleTerms, state: AuctionState, caller: UUID, at_ms: int) -> AuctionState:
    """Return the auction cancelled by its seller. Raises NotAllowed, AuctionNotLive, AuctionNotCancellable."""
    if caller != terms.seller_id:
        raise NotAllowed("Only the seller can cancel this auction")
    if state.status not in {"scheduled", "live"}:
        raise AuctionNotLive("The auction is over")
    if state.bid_count and state.ends_at_ms - at_ms < LATE_PHASE_MS:
        raise AuctionNotCancellable
    return replace(state, status="cancelled", event_number=state.event_number + 1)


def end_early(
    terms: SaleTerms, state: AuctionState, caller: UUID, at_ms: int, *, unsupported: str | None = None
) -> AuctionState:
    """Return the auction sold at the price of now to who leads, of several units to all who get some.

    By its seller's wish, who gives up the reserve; `unsupported` says why a format does not allow this.
    Raises: NotAllowed, AuctionNotLive, AuctionNotEndable.
    """
    if caller != terms.seller_id:
        raise NotAllowed("Only the seller can end this auction")
    if state.status != "live" or at_ms >= state.ends_at_ms:
        raise AuctionNotLive
    if unsupported is not None or state.leader_id is None:
        raise AuctionNotEndable(
            unsupported or "Nobody has bid, so there is nobody to sell to; cancel the auction instead"
        )
    return replace(state, status="sold", event_number=state.event_number + 1)


def reserve_met(terms: SaleTerms, state: AuctionState) -> bool:
    """Return whether the leader may buy: no reserve, or a limit that reaches it."""
    reserve = terms.reserve_price
    if reserve is None:
        return True
    if terms.format == "reverse":
        return state.leader_id is not None and state.leader_max <= reserve
    return state.leader_max >= reserve


def units_of(state: AuctionState, bidder: UUID) -> int:
    """Return how many units a bidder would get if the auction ended now."""
    if not state.allocations:
        return int(bidder == state.leader_id)
    return sum(allocation.units for allocation in state.allocations if allocation.bidder_id == bidder)


def buy_now_price(terms: SaleTerms, state: AuctionState) -> int | None:
    """Return the buy-now price while it is offered: it stays until the price passes it."""
    price = terms.buy_now_price
    return price if price is not None and state.price <= price else None


# -- Bids ----------------------------------------------------------------------------------------------------


def check_bidder(terms: SaleTerms, state: AuctionState, bidder: UUID, at_ms: int) -> None:
    """Let a bid received at this instant through. Raises AuctionNotLive, OwnAuction."""
    if state.status != "live" or at_ms >= state.ends_at_ms:
        raise AuctionNotLive
    if bidder == terms.seller_id:
        raise OwnAuction


def apply_bid(
    terms: SaleTerms,
    state: AuctionState,
    bidder: UUID,
    amount: int,
    at_ms: int,
    quantity: int = 1,  # noqa: ARG001 - always one unit
) -> AuctionState:
    """Return the auction after a bid with this hidden maximum, received at this instant.

    Raises: AuctionNotLive, OwnAuction, BidTooLow (carries the bidder's own `minimum_bid`).
    """
    check_bidder(terms, state, bidder, at_ms)
    minimum = state.leader_max + 1 if bidder == state.leader_id else state.minimum_bid
    if amount < minimum:
        raise too_low(minimum)
    if state.price == AMOUNT_MAX and state.leader_id is not None:
        raise too_low(AMOUNT_MAX + 1)
    price, leader_id, leader_max = _contest(terms, state, bidder, amount)
    ends_at_ms, extensions = soft_close(terms, state, at_ms)
    return AuctionState(
        "live",
        state.event_number + (1 if extensions == state.extensions else 2),
        price,
        state.minimum_bid if price == state.price and state.bid_count else one_step_above(terms, price),
        leader_id,
        leader_max,
        state.bid_count + 1,
        ends_at_ms,
        extensions,
    )


def one_step_above(terms: SaleTerms, price: int) -> int:
    """Return the least that a new bidder may offer at this price; below the largest amount the step is cut short."""
    return min(price + terms.steps.at(price), AMOUNT_MAX)


def too_low(minimum: int) -> BidTooLow:
    """Return the refusal of a bid that is below its least; one past the largest amount takes no bid at all."""
    if minimum > AMOUNT_MAX:
        return BidTooLow("Nobody can offer more: the largest amount is bid", minimum_bid=AMOUNT_MAX)
    return BidTooLow(f"The least you can bid now is {minimum}", minimum_bid=minimum)


def _contest(terms: SaleTerms, state: AuctionState, bidder: UUID, amount: int) -> tuple[int, UUID, int]:
    """Return price, leader and the leader's maximum after a bid that may be placed."""
    leader_id, leader_max = state.leader_id, state.leader_max
    if leader_id is None:
        price, leader_id, leader_max = terms.starting_price, bidder, amount
    elif bidder == leader_id:  # the own maximum does not move the price
        price, leader_max = state.price, max(amount, leader_max)
    elif amount > leader_max:  # the new leader pays one step over the loser
        price = min(amount, leader_max + terms.steps.at(leader_max))
        leader_id, leader_max = bidder, amount
    else:  # a failed challenge; equal maxima: the earlier leads at that amount
        price = min(leader_max, amount + terms.steps.at(amount))
    price = max(price, state.price)
    reserve = terms.reserve_price
    if reserve is not None and price < reserve <= leader_max:
        price = reserve
    return price, leader_id, leader_max


def soft_close(terms: SaleTerms, state: AuctionState, at_ms: int) -> tuple[int, int]:
    """Return the end and the count of extensions after a bid; at exactly end - window it counts as late."""
    soft, ends_at_ms = terms.soft_close, state.ends_at_ms
    if soft is None or at_ms < ends_at_ms - soft.window_ms or state.extensions >= soft.max_extensions:
        return ends_at_ms, state.extensions
    if at_ms + soft.extend_ms <= ends_at_ms:
        return ends_at_ms, state.extensions
    return at_ms + soft.extend_ms, state.extensions + 1


def follow_group(state: AuctionState, ends_at_ms: int, at_ms: int) -> AuctionState:
    """Return an auction after a bid of this instant extended another one of its group to this end.

    An auction that ends later, or whose end has come by then, stays as it is.
    """
    if state.status not in {"scheduled", "live"} or not at_ms < state.ends_at_ms < ends_at_ms:
        return state
    return replace(state, event_number=state.event_number + 1, ends_at_ms=ends_at_ms)


def buy_now(terms: SaleTerms, state: AuctionState, buyer: UUID, at_ms: int) -> AuctionState:
    """Return the auction sold at the buy-now price. Raises AuctionNotLive, OwnAuction, BuyNowUnavailable."""
    check_bidder(terms, state, buyer, at_ms)
    price = buy_now_price(terms, state)
    if price is None:
        raise BuyNowUnavailable
    return replace(
        state,
        status="sold",
        event_number=state.event_number + 1,
        price=price,
        minimum_bid=one_step_above(terms, price),
        leader_id=buyer,
        leader_max=price,
    )


# -- Retraction ----------------------------------------------------------------------------------------------


class StandingBid(Struct, frozen=True, gc=False):
    """A bid in the log that was not retracted."""

    number: int
    bidder_id: UUID
    amount: int
    at_ms: int
    quantity: int = 1


def choose_retracted(state: AuctionState, own: Sequence[StandingBid], number: int, at_ms: int) -> set[int]:
    """Return the numbers of the bids that go when a bidder with these standing bids retracts the one numbered.

    With more than 12 h left all own bids go; later only the last, when it is at most 1 h old.
    Raises: AuctionNotLive, BidNotRetractable.
    """
    if state.status != "live" or at_ms >= state.ends_at_ms:
        raise AuctionNotLive
    chosen = next((bid for bid in own if bid.number == number), None)
    if chosen is None:
        raise BidNotRetractable("This is not a standing bid of yours")
    if state.ends_at_ms - at_ms > LATE_PHASE_MS:
        return {bid.number for bid in own}
    if chosen.number != max(bid.number for bid in own):
        raise BidNotRetractable("In the last twelve hours only your last bid can be taken back")
    if at_ms - chosen.at_ms > LATE_RETRACTION_MS:
        raise BidNotRetractable("In the last twelve hours a bid can be taken back within one hour only")
    return {chosen.number}


def retract(
    terms: SaleTerms, state: AuctionState, remaining: Iterable[StandingBid], count: int
) -> AuctionState:
    """Return the auction after a retraction that left `count` bids.

    Price and leader follow from the bids that remain, in log order; those that decide nothing may be left out.
    Extensions stay. A remaining bid is not checked again: it was accepted when it was placed.
    """
    number, ends_at_ms, extensions = state.event_number + 1, state.ends_at_ms, state.extensions
    price, leader_id, leader_max = terms.starting_price, None, 0
    for bid in remaining:
        so_far = AuctionState("live", number, price, 0, leader_id, leader_max, count, ends_at_ms, extensions)
        price, leader_id, leader_max = _contest(terms, so_far, bid.bidder_id, bid.amount)
    minimum_bid = one_step_above(terms, price) if count else price
    return AuctionState(
        "live", number, price, minimum_bid, leader_id, leader_max, count, ends_at_ms, extensions
    )
