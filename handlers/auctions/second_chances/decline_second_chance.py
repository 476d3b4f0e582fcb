"""Turn down a second-chance offer."""

from handlers.auctions.second_chances.offers import end_offers, lock_offer, reread, to_offer
from handlers.auctions.second_chances.rules import check_open
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.second_chances import DeclineSecondChance


async def decline_second_chance(
    command: DeclineSecondChance, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """End an offer made to the caller. Raises SecondChanceNotFound, SecondChanceNotOpen."""
    auction, row, _ = await lock_offer(stores, command.offer_id, "bidder", caller)
    check_open(to_offer(row), now_ms)
    events = await end_offers(stores, {auction.terms.auction_id: auction.terms}, [row], "declined", now_ms)
    return Outcome(await reread(stores, auction, command.offer_id, caller), events)
