"""Turn down a second-chance offer."""

from handlers.auctions.second_chances.offers import end_offers, hold_offer, reread, to_offer
from handlers.auctions.second_chances.rules import check_open
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.second_chances import DeclineSecondChance


async def decline_second_chance(
    command: DeclineSecondChance, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """End an offer made to the caller. Raises SecondChanceNotFound, SecondChanceNotOpen."""
    held, row, _ = await hold_offer(stores, command.offer_id, "bidder_id", caller)
    check_open(to_offer(row), now_ms)
    events = await end_offers(stores, {held.lot.auction_id: held.lot}, [row], "declined", now_ms)
    return Outcome(await reread(stores, held, command.offer_id, caller), events)
