"""eBay's recorded bids through the pipeline: every auction has the recorded winner and price, and passes its audit."""

import asyncio

from protocols.auctions.refusals import BidTooLow
from tests.integration.auctions.conftest import new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.integration.auctions.test_sealed import close
from tests.unit.handlers.auctions.ebay import read_histories
from tests.unit.handlers.auctions.test_ebay import CUT_RAISES, replay


async def test_recorded_histories_end_as_they_were_recorded(market, seller):
    histories = {}
    for history in read_histories():
        state, _ = replay(history)
        reserve = None if state.price == history.price else history.price
        auction = await market.new_auction(
            seller, currency="USD", starting_price=history.opening, reserve_price=reserve
        )
        histories[auction] = history
    callers = {(a, bidder): new_caller() for a, h in histories.items() for bidder, _ in h.bids}
    refused = 0
    for turn in range(max(len(history.bids) for history in histories.values())):
        moves = [(a, *h.bids[turn]) for a, h in histories.items() if turn < len(h.bids)]
        answers = await asyncio.gather(
            *(market.bid(a, callers[a, bidder], amount) for a, bidder, amount in moves),
            return_exceptions=True,
        )
        for (auction, bidder, amount), answer in zip(moves, answers, strict=True):
            if isinstance(answer, BaseException):
                assert isinstance(answer, BidTooLow)
                assert (bidder, amount) == (histories[auction].winner, histories[auction].price)
                refused += 1
    assert refused == CUT_RAISES
    await close(market, *histories)
    for auction, history in histories.items():
        row = await market.row(auction)
        assert (row["status"], row["price"]) == ("sold", history.price)
        assert row["leader_id"] == callers[auction, history.winner].id
    assert await assert_replays(market.pool, list(histories)) == len(histories)
    await assert_audited(market, list(histories))
