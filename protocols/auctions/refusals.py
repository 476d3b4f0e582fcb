"""The refusals of auctions that more than one command gives."""

from typing import Any, ClassVar

from protocols.errors import Refusal


class AuctionNotFound(Refusal):
    """There is no auction with this id."""

    code, number, status = "auction_not_found", 700, 404


class AuctionNotLive(Refusal):
    """The auction has not started yet or is over."""

    code, number, status = "auction_not_live", 701, 409


class BidTooLow(Refusal):
    """The bid is below `minimum_bid`."""

    code, number, status = "bid_too_low", 702, 422
    example: ClassVar[dict[str, Any]] = {"minimum_bid": 1250}


class BidTooHigh(Refusal):
    """The bid in a reverse auction is above `maximum_bid`."""

    code, number, status = "bid_too_high", 710, 422
    example: ClassVar[dict[str, Any]] = {"maximum_bid": 1150}


class TooManyUnits(Refusal):
    """The auction does not have as many units; ask for fewer."""

    code, number, status = "too_many_units", 711, 422


class UnitsReduced(Refusal):
    """Another bid of yours has to ask for at least as many units as the one that gets some."""

    code, number, status = "units_reduced", 712, 422


class OwnAuction(Refusal):
    """You cannot bid on or buy from your own auction."""

    code, number, status = "own_auction", 703, 403


class BidNotRetractable(Refusal):
    """This bid cannot be taken back any more."""

    code, number, status = "bid_not_retractable", 704, 409


class ListingAlreadyInAuction(Refusal):
    """Open auctions hold all pieces of this listing; cancel one, or wait until it has ended."""

    code, number, status = "listing_already_in_auction", 706, 409
    example: ClassVar[dict[str, Any]] = {"saleable": 0}


class BuyNowUnavailable(Refusal):
    """There is no buy-now price, or the price has passed it."""

    code, number, status = "buy_now_unavailable", 707, 409


class AuctionNotCancellable(Refusal):
    """With bids, an auction can be cancelled only while at least twelve hours are left."""

    code, number, status = "auction_not_cancellable", 708, 409


class ListingNotAuctionable(Refusal):
    """There is no active listing with this id."""

    code, number, status = "listing_not_auctionable", 709, 409
