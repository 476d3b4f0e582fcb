"""Take a second-chance offer back."""

from handlers.auctions.second_chances.offers import end_offers, hold_offer, reread, to_offer
from handlers.auctions.second_chances.rules import check_open
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.second_chances import WithdrawSecondChance


async def withdraw_second_chance(
    command: WithdrawSecondChance, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """End an offer the caller made. Raises SecondChanceNotFound, SecondChanceNotOpen."""
    held, row, _ = await hold_offer(stores, command.offer_id, "seller_id", caller)
    check_open(to_offer(row), now_ms)
    events = await end_offers(stores, {held.lot.auction_id: held.lot}, [row], "withdrawn", now_ms)
    return Outcome(await reread(stores, held, command.offer_id, caller), events)
