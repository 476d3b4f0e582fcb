"""Which notices the change of an auction's state makes for its seller, and which a seller can choose."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from handlers.auctions.formats.table import rules_of
from handlers.auctions.rules import AuctionState, SaleTerms, reserve_met


class NoticeChoice(Struct, frozen=True, gc=False):
    """What a seller chose to be told."""

    first_bid: bool = True
    reserve_met: bool = True
    prices: Sequence[int] = ()


def has_first_bid(before: AuctionState, after: AuctionState) -> bool:
    """Return whether bids stand where none did."""
    return before.bid_count == 0 < after.bid_count


def has_met_reserve(sale: SaleTerms, before: AuctionState, after: AuctionState) -> bool:
    """Return whether the auction has a reserve that is met now and was not."""
    return sale.reserve_price is not None and reserve_met(sale, after) and not reserve_met(sale, before)


def price_reached(
    sale: SaleTerms, prices: Sequence[int], before: AuctionState, after: AuctionState
) -> int | None:
    """Return the farthest of these prices that the price has come to; None when it has not passed one."""
    if rules_of(sale.format, sale.quantity).descending:
        return min((price for price in prices if after.price <= price < before.price), default=None)
    return max((price for price in prices if before.price < price <= after.price), default=None)


def refused_prices(sale: SaleTerms, prices: Sequence[int]) -> Iterator[str]:
    """Yield why an auction cannot tell of these prices."""
    rules = rules_of(sale.format, sale.quantity)
    if prices and rules.bid_mechanism != "open":
        yield f"{rules.name} auction has no price that bids move while it is live"
    elif rules.descending and any(price >= sale.starting_price for price in prices):
        yield "A price of a reverse auction that is to be told must be below the starting price"
    elif not rules.descending and any(price <= sale.starting_price for price in prices):
        yield "A price that is to be told must be above the starting price"
