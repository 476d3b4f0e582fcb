"""Offer a closed auction's thing to a bidder who did not get it. Rules: second_chance_rules.py."""

from uuid import UUID

from handlers.auctions.increments import refuse
from handlers.auctions.lots import Held, hold_one
from handlers.auctions.second_chance_rules import Ranked, check_offer, choose_bidder
from handlers.auctions.second_chances import reread, to_offer
from handlers.contract import Caller, Event, Outcome, Stores, Timer
from protocols.errors import NotAllowed
from protocols.second_chances import OfferSecondChance, SecondChanceOffered, SecondChanceUnavailable
from protocols.topics import personal_channel
from protocols.values import new_id, to_timestamp
from storage.auctions import second_chances_postgres
from storage.events_postgres import read_events
from storage.listings.lookups import read_listing


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
    if lot.rules.descending or lot.terms.quantity > 1:
        raise SecondChanceUnavailable(
            "Offers are made after auctions that sell one unit to the highest bidder"
        )
    chosen, piece = await _judge(command, held, stores, now_ms)
    offer_id, expires_at_ms = new_id(), now_ms + command.expires_in_s * 1000
    await second_chances_postgres.insert_offer(
        stores.db,
        (offer_id, lot.auction_id, chosen.bidder_id, caller.id, piece, chosen.amount, now_ms, expires_at_ms),
    )
    offered = SecondChanceOffered(
        offer_id, lot.auction_id, lot.listing_id, chosen.amount, lot.currency, to_timestamp(expires_at_ms)
    )
    event = Event(personal_channel(chosen.bidder_id), "second_chance_offered", offered)
    timer = Timer("expire_second_chance", offer_id, expires_at_ms)
    return Outcome(await reread(stores, held, offer_id, caller), [event], timers=[timer])


async def _judge(command: OfferSecondChance, held: Held, stores: Stores, now_ms: int) -> tuple[Ranked, str]:
    """Return the bidder and which piece is offered. Raises SecondChanceUnavailable."""
    auction_id, state = command.auction_id, held.state
    rows = await second_chances_postgres.lock_offers(stores.db, [auction_id])
    made = [to_offer(row) for row in rows]
    listing = await read_listing(stores.db, held.lot.listing_id)
    pieces = listing.saleable if listing is not None and listing.status == "active" else 0
    piece = check_offer(
        state.status,
        await _read_close(held, stores),
        made,
        now_ms,
        pieces=pieces,
        another=command.another_piece,
    )
    ranking = [
        Ranked(row[0], row[1]) for row in await second_chances_postgres.rank_bidders(stores.db, auction_id)
    ]
    winner = state.leader_id if state.status == "sold" else None
    bidder_id: UUID | None = None
    if command.bid_id is not None:
        bidder_id = await second_chances_postgres.find_bidder_of(stores.db, auction_id, command.bid_id)
    return choose_bidder(ranking, winner, made, nth=command.nth, bidder_id=bidder_id), piece


async def _read_close(held: Held, stores: Stores) -> int:
    """Return when the auction's newest event was: of one that is over, its close."""
    ((_, _, at_ms),) = await read_events(stores.db, held.lot.channel, held.state.event_number - 1, 1)
    return at_ms
