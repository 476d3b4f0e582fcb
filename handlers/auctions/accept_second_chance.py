"""Buy at the price of a second-chance offer. Rules: second_chance_rules.py; of one piece, one accept wins."""

from handlers.auctions.exposure import lock_cover
from handlers.auctions.lots import Held
from handlers.auctions.sales import tell_moved
from handlers.auctions.second_chance_rules import ANOTHER, check_open, superseded
from handlers.auctions.second_chances import end_offers, hold_offer, reread, to_offer
from handlers.contract import Caller, Outcome, Stores
from protocols.second_chances import AcceptSecondChance, SecondChanceNotOpen
from storage.auctions.auctions_postgres import Row
from storage.listings.selling import PiecesMoved, sell_piece


async def accept_second_chance(
    command: AcceptSecondChance, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Sell to the caller, and end the other offers of the same piece.

    Raises: SecondChanceNotFound, SecondChanceNotOpen, ExposureExceeded.
    """
    held, row, rows = await hold_offer(stores, command.offer_id, "bidder_id", caller)
    offer = to_offer(row)
    check_open(offer, now_ms)
    sold = await _sell_piece(held, row, stores, now_ms)
    if held.lot.terms.exposure_guard:
        cover = await lock_cover(stores.db, [(caller.id, held.lot.currency)])
        cover.check(held.lot, held.state, caller.id, row["price"])
    lots = {held.lot.auction_id: held.lot}
    gone = set(superseded(offer, [to_offer(one) for one in rows]))
    events = [
        *await end_offers(stores, lots, [row], "accepted", now_ms),
        *await end_offers(
            stores, lots, [one for one in rows if one["offer_id"] in gone], "withdrawn", now_ms
        ),
    ]
    return tell_moved(Outcome(await reread(stores, held, command.offer_id, caller), events), sold)


async def _sell_piece(held: Held, row: Row, stores: Stores, now_ms: int) -> list[PiecesMoved]:
    """Take the piece off the listing, unless it is the one that the auction took. Raises SecondChanceNotOpen."""
    if held.state.status == "sold" and row["piece"] != ANOTHER:
        return []
    lot = held.lot
    sold = await sell_piece(stores.db, lot.listing_id, lot.auction_id, now_ms)
    if sold is None:
        raise SecondChanceNotOpen("The listing has no piece left that is neither reserved nor in an auction")
    return [sold]
