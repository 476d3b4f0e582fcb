"""Offer what a closed auction sold to a bidder who did not get it. Rules: second_chances/rules.py."""

from handlers.auctions.increments import refuse
from handlers.auctions.locking import LockedAuction, lock_auction
from handlers.auctions.second_chances.offers import count_offerable, read_ending, reread, to_offer
from handlers.auctions.second_chances.rules import (
    ANOTHER,
    AUCTIONED,
    Offer,
    Ranked,
    check_offer,
    choose_bidder,
    choose_quantity,
    left_out,
)
from handlers.contract import Caller, Event, Outcome, Stores, Timer
from protocols.auctions.second_chances import OfferSecondChance, SecondChanceOffered, SecondChanceUnavailable
from protocols.errors import NotAllowed
from protocols.topics import personal_channel
from protocols.values import new_id, to_timestamp
from storage.auctions import second_chances_postgres


async def offer_second_chance(
    command: OfferSecondChance, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Write the offer, tell the bidder alone the price, and have it expire.

    Raises: AuctionNotFound, NotAllowed, InvalidInput, SecondChanceUnavailable.
    """
    auction = await lock_auction(stores.db, command.auction_id)
    terms = auction.terms
    if terms.sale.seller_id != caller.id:
        raise NotAllowed("Only the seller can offer a second chance")
    if (command.bid_id is None) == (command.nth is None):
        raise refuse("nth", "Name the bidder by a bid or by the place, one of them")
    chosen, quantity = await _choose(command, auction, stores, now_ms)
    offer_id, expires_at_ms = new_id(), now_ms + command.expires_in_s * 1000
    piece = ANOTHER if command.another_piece else AUCTIONED
    await second_chances_postgres.insert_offer(
        stores.db,
        (
            offer_id,
            terms.auction_id,
            chosen.bidder_id,
            caller.id,
            piece,
            chosen.amount,
            quantity,
            now_ms,
            expires_at_ms,
        ),
    )
    offered = SecondChanceOffered(
        offer_id=offer_id,
        title=terms.title,
        auction_id=terms.auction_id,
        listing_id=terms.listing_id,
        price=chosen.amount,
        currency=terms.currency,
        expires_at=to_timestamp(expires_at_ms),
        quantity=quantity,
    )
    event = Event(personal_channel(chosen.bidder_id), "second_chance_offered", offered)
    timer = Timer("expire_second_chance", offer_id, expires_at_ms)
    return Outcome(await reread(stores, auction, offer_id, caller), [event], timers=[timer])


async def _choose(
    command: OfferSecondChance, auction: LockedAuction, stores: Stores, now_ms: int
) -> tuple[Ranked, int]:
    """Return the bidder and how many units are offered. Raises SecondChanceUnavailable."""
    terms, auction_id = auction.terms, command.auction_id
    why_not = terms.rules.unsupported.get("second_chance")
    if why_not is None and command.another_piece:
        why_not = terms.rules.unsupported.get("another_piece")
    if why_not is not None:
        raise SecondChanceUnavailable(why_not)
    made: list[Offer] = [
        to_offer(row) for row in await second_chances_postgres.lock_offers(stores.db, [auction_id])
    ]
    ending, saleable = await read_ending(stores, auction), await count_offerable(stores, terms)
    left = check_offer(ending, made, now_ms, saleable=saleable, another=command.another_piece)
    rows = await second_chances_postgres.rank_bidders(
        stores.db, auction_id, descending=terms.rules.descending, several=terms.sale.quantity > 1
    )
    ranking = [Ranked(bidder_id=row.bidder_id, amount=row.amount, quantity=row.quantity) for row in rows]
    losers = left_out(ranking, ending.got)
    bidder_id = None
    if command.bid_id is not None:
        bidder_id = await second_chances_postgres.find_bidder_of(stores.db, auction_id, command.bid_id)
    chosen = choose_bidder(losers, made, nth=command.nth, bidder_id=bidder_id)
    return chosen, choose_quantity(chosen, left, command.quantity)
