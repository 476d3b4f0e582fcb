"""What the second-chance commands share: an offer locked with its auction, the view of it, and its events."""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from handlers.auctions.locking import AuctionTerms, LockedAuction, lock_auction
from handlers.auctions.second_chances.rules import ANOTHER, Ending, Offer
from handlers.contract import Caller, Event, Stores
from protocols.auctions.second_chances import (
    OfferStatus,
    SecondChance,
    SecondChanceChanged,
    SecondChanceNotFound,
)
from protocols.topics import personal_channel
from protocols.values import to_timestamp
from storage.auctions import second_chances_postgres
from storage.auctions.second_chances_postgres import OfferRow
from storage.listings.selling import lock_goods
from storage.platform.events_postgres import read_events

Party = Literal["bidder", "seller"]


def to_offer(row: OfferRow) -> Offer:
    """Return a row as the rules take it."""
    return Offer(
        row.offer_id,
        row.bidder_id,
        row.piece,
        row.status,
        row.expires_at_ms,
        row.quantity,
    )


async def read_ending(stores: Stores, auction: LockedAuction) -> Ending:
    """Return how a locked auction ended; of one that has not, its newest event stands for the close."""
    terms, state = auction.terms, auction.state
    ((_, _, at_ms),) = await read_events(stores.db, terms.channel, state.event_number - 1, 1)
    got = {allocation.bidder_id: allocation.units for allocation in state.allocations}
    if not got and state.leader_id is not None:
        got = {state.leader_id: 1}
    return Ending(state.status, at_ms, terms.sale.quantity, got if state.status == "sold" else {})


async def count_offerable(stores: Stores, terms: AuctionTerms) -> int:
    """Return the quantity of an auction's listing that can be promised; 0 of an inactive one.

    Of a listing that says what is wanted, 1. Cost: one round trip. Locks: the listing's row.
    """
    goods = await lock_goods(stores.db, terms.listing_id)
    if goods is None or goods.status != "active":
        return 0
    return 1 if terms.rules.descending else goods.saleable


def to_second_chance(terms: AuctionTerms, row: OfferRow, caller: Caller) -> SecondChance:
    """Return an offer as one of its two parties sees it: the seller learns the price when it is accepted."""
    accepted = row.status == "accepted"
    return SecondChance(
        id=row.offer_id,
        auction_id=terms.auction_id,
        listing_id=terms.listing_id,
        status=row.status,
        bidder=terms.mask(row.bidder_id),
        buyer_id=row.bidder_id if accepted else None,
        price=row.price if accepted or row.bidder_id == caller.user_id else None,
        currency=terms.currency,
        quantity=row.quantity,
        another_piece=row.piece == ANOTHER,
        offered_at=to_timestamp(row.offered_at_ms),
        expires_at=to_timestamp(row.expires_at_ms),
    )


async def lock_offer(
    stores: Stores, offer_id: UUID, party: Party, caller: Caller
) -> tuple[LockedAuction, OfferRow, list[OfferRow]]:
    """Lock an offer's auction and all its offers; return the one, too, when it is the caller's as this party.

    Raises: SecondChanceNotFound.
    """
    auction_id = (await second_chances_postgres.find_auctions_of(stores.db, [offer_id])).get(offer_id)
    if auction_id is None:
        raise SecondChanceNotFound
    auction = await lock_auction(stores.db, auction_id)
    rows = await second_chances_postgres.lock_offers(stores.db, [auction_id])
    (row,) = (row for row in rows if row.offer_id == offer_id)
    if caller.id != (row.bidder_id if party == "bidder" else row.seller_id):
        raise SecondChanceNotFound
    return auction, row, rows


async def end_offers(
    stores: Stores,
    terms_by_id: dict[UUID, AuctionTerms],
    rows: Iterable[OfferRow],
    status: OfferStatus,
    now_ms: int,
) -> list[Event]:
    """Give locked offers their last status, and return the events for both parties of each."""
    ended = list(rows)
    await second_chances_postgres.decide_offers(stores.db, [row.offer_id for row in ended], status, now_ms)
    events = []
    for row in ended:
        terms, accepted = terms_by_id[row.auction_id], status == "accepted"
        changed = SecondChanceChanged(
            offer_id=row.offer_id,
            title=terms.title,
            auction_id=terms.auction_id,
            listing_id=terms.listing_id,
            status=status,
            price=row.price if accepted else None,
            buyer_id=row.bidder_id if accepted else None,
            currency=terms.currency,
            quantity=row.quantity,
        )
        events += [
            Event(personal_channel(party_id), "second_chance_changed", changed)
            for party_id in (row.bidder_id, row.seller_id)
        ]
    return events


async def reread(stores: Stores, auction: LockedAuction, offer_id: UUID, caller: Caller) -> SecondChance:
    """Return an offer of a locked auction as it is now."""
    rows = await second_chances_postgres.lock_offers(stores.db, [auction.terms.auction_id])
    return to_second_chance(auction.terms, next(row for row in rows if row.offer_id == offer_id), caller)
