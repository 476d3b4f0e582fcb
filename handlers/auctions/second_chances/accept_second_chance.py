"""Buy at the price of a second-chance offer. Rules: second_chances/rules.py."""

from handlers.auctions.guards.exposure import lock_exposures_of
from handlers.auctions.locking import LockedAuction
from handlers.auctions.sales import add_movements
from handlers.auctions.second_chances.offers import (
    count_offerable,
    end_offers,
    lock_offer,
    read_ending,
    reread,
    to_offer,
)
from handlers.auctions.second_chances.rules import ANOTHER, Offer, check_open, superseded
from handlers.contract import Caller, Fact, Outcome, Stores
from protocols.auctions.facts import SecondChanceSold, Winner
from protocols.auctions.second_chances import AcceptSecondChance, SecondChanceNotOpen
from storage.auctions.lookups import read_open_auction
from storage.auctions.second_chances_postgres import OfferRow
from storage.ledger.leaves import Settlement, queue_settlements
from storage.listings.selling import MovedStock, lock_goods, sell_quantity


async def accept_second_chance(
    command: AcceptSecondChance, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Sell to the caller (of a reverse auction: give them the job), and end the offers that nothing is left for.

    Raises: SecondChanceNotFound, SecondChanceNotOpen, ExposureExceeded.
    """
    auction, row, rows = await lock_offer(stores, command.offer_id, "bidder", caller)
    offer = to_offer(row)
    check_open(offer, now_ms)
    gone = set(superseded(offer, [to_offer(one) for one in rows], await read_ending(stores, auction)))
    sold = await (
        _check_job(auction, stores)
        if auction.terms.rules.descending
        else _sell(auction, offer, stores, now_ms)
    )
    if auction.terms.sale.exposure_guard:
        cover = await lock_exposures_of(stores.db, [(caller.id, auction.terms.currency)])
        cover.check(auction.terms, auction.state, caller.id, row.price * offer.quantity)
    terms_by_id = {auction.terms.auction_id: auction.terms}
    events = [
        *await end_offers(stores, terms_by_id, [row], "accepted", now_ms),
        *await end_offers(
            stores, terms_by_id, [one for one in rows if one.offer_id in gone], "withdrawn", now_ms
        ),
    ]
    await queue_settlements(stores.db, [_result(auction, row)], now_ms)
    reply = await reread(stores, auction, command.offer_id, caller)
    return add_movements(Outcome(reply, events, facts=[_sold_fact(auction, row)]), sold)


def _result(auction: LockedAuction, row: OfferRow) -> Settlement:
    """Return what the transparency log says of the sale."""
    return Settlement(
        auction_id=auction.terms.auction_id,
        seller_id=auction.terms.sale.seller_id,
        outcome="second_chance",
        price_minor=row.price,
        currency=auction.terms.currency,
        bid_count=auction.state.bid_count,
        winner_id=row.bidder_id,
        units=row.quantity,
    )


def _sold_fact(auction: LockedAuction, row: OfferRow) -> Fact:
    terms = auction.terms
    winner = Winner(user_id=row.bidder_id, quantity=row.quantity, price_minor=row.price)
    sold = SecondChanceSold(
        auction_id=terms.auction_id,
        listing_id=terms.listing_id,
        seller_id=terms.sale.seller_id,
        is_reverse=terms.rules.descending,
        offer_id=row.offer_id,
        currency=terms.currency,
        winner=winner,
    )
    return Fact(terms.channel, sold)


async def _sell(auction: LockedAuction, offer: Offer, stores: Stores, now_ms: int) -> list[MovedStock]:
    """Take the quantity off the listing, unless the auction took it already. Raises SecondChanceNotOpen."""
    if auction.state.status == "sold" and offer.piece != ANOTHER:
        return []
    terms = auction.terms
    goods = await lock_goods(stores.db, terms.listing_id)
    if goods is None or goods.status != "active":
        raise SecondChanceNotOpen("The listing is not for sale any more")
    if goods.saleable < offer.quantity:
        beside = "; the others are in another auction" if goods.auctioned else ""
        raise SecondChanceNotOpen(f"The listing has {goods.saleable} left to sell{beside}")
    return [await sell_quantity(stores.db, goods, terms.auction_id, offer.quantity, now_ms)]


async def _check_job(auction: LockedAuction, stores: Stores) -> list[MovedStock]:
    """Let a job be taken that is still wanted; nothing of the opener's is sold. Raises SecondChanceNotOpen."""
    if await read_open_auction(stores.db, auction.terms.listing_id) is not None:
        raise SecondChanceNotOpen("The job is in another auction")
    if await count_offerable(stores, auction.terms) < 1:
        raise SecondChanceNotOpen("The listing says that this is not wanted any more")
    return []
