"""The rules of a Dutch auction as pure functions: the price falls with the clock, the first to accept it buys.

While the auction runs its state keeps the starting price: the price of an instant follows from the terms alone.
"""

from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.rules import AuctionState, Fall, SaleTerms, check_bidder, close
from protocols.auctions.refusals import BidTooLow


def price_at(terms: SaleTerms, at_ms: int) -> int:
    """Return the price at an instant: start - step * floor((t - starts_at) / tick), never below the floor."""
    fall = _fall(terms)
    ticks = max(0, min(at_ms, terms.ends_at_ms) - terms.starts_at_ms) // fall.tick_ms
    return max(fall.floor_price, terms.starting_price - fall.step * ticks)


def next_price_at(terms: SaleTerms, at_ms: int) -> int | None:
    """Return when the price falls next after an instant; None when it stands until the end."""
    fall = _fall(terms)
    ticks = (at_ms - terms.starts_at_ms) // fall.tick_ms + 1
    falls_at_ms = terms.starts_at_ms + max(1, ticks) * fall.tick_ms
    if price_at(terms, at_ms) == fall.floor_price or falls_at_ms >= terms.ends_at_ms:
        return None
    return falls_at_ms


def steps_fallen(terms: SaleTerms, price: int) -> int:
    """Return how many times the price has fallen to be this one; a last, shorter step counts as one."""
    return -(-(terms.starting_price - price) // _fall(terms).step)


def accept(
    terms: SaleTerms, state: AuctionState, buyer: UUID, amount: int | None, at_ms: int
) -> AuctionState:
    """Return the auction sold at the price of this instant; `amount` of None accepts whatever it is.

    Takes two numbers: the bid, then the close. Raises: AuctionNotLive, OwnAuction, BidTooLow.
    """
    check_bidder(terms, state, buyer, at_ms)
    price = price_at(terms, at_ms)
    if amount is not None and amount < price:
        raise BidTooLow(f"The price is {price} now", minimum_bid=price)
    return replace(
        state,
        status="sold",
        event_number=state.event_number + 2,
        price=price,
        minimum_bid=price,
        leader_id=buyer,
        leader_max=price,
        bid_count=1,
    )


def stop_clock(terms: SaleTerms, state: AuctionState, at_ms: int) -> AuctionState:
    """Return the state with the price of this instant: what is shown of an auction that ends without a sale."""
    price = price_at(terms, at_ms)
    return replace(state, price=price, minimum_bid=price)


def end(terms: SaleTerms, state: AuctionState) -> AuctionState:
    """Return the auction after its end without a buyer."""
    return stop_clock(terms, close(terms, state), terms.ends_at_ms)


def _fall(terms: SaleTerms) -> Fall:
    if terms.fall is None:
        raise AssertionError("a Dutch auction has a fall")
    return terms.fall
