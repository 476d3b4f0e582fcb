"""Offer a closed auction's thing to a bidder who did not get it. Rules: second_chance_rules.py, formats.py `bars`."""

from handlers.auctions.increments import refuse
from handlers.auctions.locking import Held, hold_one
from handlers.auctions.second_chances.offers import count_pieces, read_ending, reread, to_offer
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
    held = await hold_one(stores.db, command.auction_id)
    lot = held.lot
    if lot.terms.seller_id != caller.id:
        raise NotAllowed("Only the seller can offer a second chance")
    if (command.bid_id is None) == (command.nth is None):
        raise refuse("nth", "Name the bidder by a bid or by the place, one of them")
    chosen, quantity = await _judge(command, held, stores, now_ms)
    offer_id, expires_at_ms = new_id(), now_ms + command.expires_in_s * 1000
    piece = ANOTHER if command.another_piece else AUCTIONED
    await second_chances_postgres.insert_offer(
        stores.db,
        (
            offer_id,
            lot.auction_id,
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
        offer_id,
        lot.auction_id,
        lot.listing_id,
        chosen.amount,
        lot.currency,
        to_timestamp(expires_at_ms),
        quantity,
    )
    event = Event(personal_channel(chosen.bidder_id), "second_chance_offered", offered)
    timer = Timer("expire_second_chance", offer_id, expires_at_ms)
    return Outcome(await reread(stores, held, offer_id, caller), [event], timers=[timer])


async def _judge(command: OfferSecondChance, held: Held, stores: Stores, now_ms: int) -> tuple[Ranked, int]:
    """Return the bidder and how many units are offered. Raises SecondChanceUnavailable."""
    lot, auction_id = held.lot, command.auction_id
    why_not = lot.rules.bars.get("second_chance")
    if why_not is None and command.another_piece:
        why_not = lot.rules.bars.get("another_piece")
    if why_not is not None:
        raise SecondChanceUnavailable(why_not)
    made: list[Offer] = [
        to_offer(row) for row in await second_chances_postgres.lock_offers(stores.db, [auction_id])
    ]
    ending, pieces = await read_ending(stores, held), await count_pieces(stores, lot)
    left = check_offer(ending, made, now_ms, pieces=pieces, another=command.another_piece)
    rows = await second_chances_postgres.rank_bidders(
        stores.db, auction_id, descending=lot.rules.descending, several=lot.terms.quantity > 1
    )
    losers = left_out([Ranked(*row) for row in rows], ending.got)
    bidder_id = None
    if command.bid_id is not None:
        bidder_id = await second_chances_postgres.find_bidder_of(stores.db, auction_id, command.bid_id)
    chosen = choose_bidder(losers, made, nth=command.nth, bidder_id=bidder_id)
    return chosen, choose_quantity(chosen, left, command.quantity)
