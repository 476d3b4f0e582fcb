"""Buy at the price of a second-chance offer. Rules: second_chance_rules.py; of one piece, one accept wins."""

from handlers.auctions.guards.exposure import lock_cover
from handlers.auctions.locking import Held
from handlers.auctions.sales import tell_moved
from handlers.auctions.second_chances.offers import (
    count_pieces,
    end_offers,
    hold_offer,
    read_ending,
    reread,
    to_offer,
)
from handlers.auctions.second_chances.rules import ANOTHER, Offer, check_open, superseded
from handlers.contract import Caller, Fact, Outcome, Stores
from protocols.auctions.facts import SecondChanceSold, Winner
from protocols.auctions.second_chances import AcceptSecondChance, SecondChanceNotOpen
from storage.auctions.auctions_postgres import Row
from storage.auctions.lookups import read_open_auction
from storage.listings.selling import PiecesMoved, lock_goods, sell_pieces


async def accept_second_chance(
    command: AcceptSecondChance, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Sell to the caller (of a reverse auction: give them the job), and end the offers that nothing is left for.

    Raises: SecondChanceNotFound, SecondChanceNotOpen, ExposureExceeded.
    """
    held, row, rows = await hold_offer(stores, command.offer_id, "bidder_id", caller)
    offer = to_offer(row)
    check_open(offer, now_ms)
    gone = set(superseded(offer, [to_offer(one) for one in rows], await read_ending(stores, held)))
    sold = await (
        _check_job(held, stores) if held.lot.rules.descending else _sell(held, offer, stores, now_ms)
    )
    if held.lot.terms.exposure_guard:
        cover = await lock_cover(stores.db, [(caller.id, held.lot.currency)])
        cover.check(held.lot, held.state, caller.id, row["price"] * offer.quantity)
    lots = {held.lot.auction_id: held.lot}
    events = [
        *await end_offers(stores, lots, [row], "accepted", now_ms),
        *await end_offers(
            stores, lots, [one for one in rows if one["offer_id"] in gone], "withdrawn", now_ms
        ),
    ]
    reply = await reread(stores, held, command.offer_id, caller)
    return tell_moved(Outcome(reply, events, facts=[_sold_fact(held, row)]), sold)


def _sold_fact(held: Held, row: Row) -> Fact:
    lot = held.lot
    winner = Winner(user_id=row["bidder_id"], quantity=row["quantity"], price_minor=row["price"])
    sold = SecondChanceSold(
        auction_id=lot.auction_id,
        listing_id=lot.listing_id,
        seller_id=lot.terms.seller_id,
        is_reverse=lot.rules.descending,
        offer_id=row["offer_id"],
        currency=lot.currency,
        winner=winner,
    )
    return Fact(lot.channel, sold)


async def _sell(held: Held, offer: Offer, stores: Stores, now_ms: int) -> list[PiecesMoved]:
    """Take the pieces off the listing, unless they are those that the auction took. Raises SecondChanceNotOpen."""
    if held.state.status == "sold" and offer.piece != ANOTHER:
        return []
    lot = held.lot
    goods = await lock_goods(stores.db, lot.listing_id)
    if goods is None or goods.status != "active":
        raise SecondChanceNotOpen("The listing is not for sale any more")
    if goods.saleable < offer.quantity:
        beside = "; the others are in another auction" if goods.auctioned else ""
        raise SecondChanceNotOpen(f"The listing has {goods.saleable} left to sell{beside}")
    return [await sell_pieces(stores.db, goods, lot.auction_id, offer.quantity, now_ms)]


async def _check_job(held: Held, stores: Stores) -> list[PiecesMoved]:
    """Let a job be taken that is still wanted; nothing of the opener's is sold. Raises SecondChanceNotOpen."""
    if await read_open_auction(stores.db, held.lot.listing_id) is not None:
        raise SecondChanceNotOpen("The job is in another auction")
    if await count_pieces(stores, held.lot) < 1:
        raise SecondChanceNotOpen("The listing says that this is not wanted any more")
    return []
