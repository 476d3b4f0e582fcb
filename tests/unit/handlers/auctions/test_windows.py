"""The windows of buy-now, retraction, cancellation and early end as tables, every edge to the millisecond."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from handlers.auctions.rules import (
    HOUR_MS,
    SaleTerms,
    SoftCloseTerms,
    StandingBid,
    apply_bid,
    buy_now,
    buy_now_price,
    cancel,
    choose_retracted,
    default_steps,
    end_early,
    open_state,
)
from protocols.auctions.refusals import (
    AuctionNotCancellable,
    AuctionNotLive,
    BidNotRetractable,
    BuyNowUnavailable,
)

SELLER, ANN, BOB = (UUID(int=n) for n in (9, 1, 2))
END = 100 * HOUR_MS
TERMS = SaleTerms(SELLER, 10_00, None, 50_00, 0, END, default_steps(2), SoftCloseTerms(120_000, 120_000, 10))
NEW = open_state(TERMS, 0)
LED = apply_bid(TERMS, NEW, ANN, 900_00, 1)


# -- buy now: it stays until the current price passes it, also under a higher hidden maximum --


@pytest.mark.parametrize(
    ("price", "leader_max", "offered"),
    [
        (10_00, 0, True),
        (10_00, 50_00, True),
        (10_00, 900_00, True),
        (49_99, 900_00, True),
        (50_00, 900_00, True),
        (50_01, 900_00, False),
        (900_00, 900_00, False),
    ],
)
def test_buy_now_stays_until_the_price_passes_it(price, leader_max, offered):
    state = replace(LED, price=price, leader_max=leader_max, leader_id=ANN if leader_max else None)
    assert (buy_now_price(TERMS, state) == 50_00) is offered
    if not offered:
        with pytest.raises(BuyNowUnavailable):
            buy_now(TERMS, state, BOB, 2)
        return
    sold = buy_now(TERMS, state, BOB, 2)
    assert (sold.status, sold.price, sold.leader_id, sold.leader_max) == ("sold", 50_00, BOB, 50_00)


@pytest.mark.parametrize(("at_ms", "live"), [(END - 1, True), (END, False), (END + 1, False)])
def test_buy_now_ends_with_the_auction(at_ms, live):
    if live:
        assert buy_now(TERMS, LED, BOB, at_ms).status == "sold"
    else:
        with pytest.raises(AuctionNotLive):
            buy_now(TERMS, LED, BOB, at_ms)


def test_the_leader_may_buy_now_and_pays_the_price_not_the_maximum():
    assert buy_now(TERMS, LED, ANN, 2).price == 50_00


# -- retraction: more than 12 h left all own bids; later only the last one, at most 1 h old --

ALL, LAST, NONE = {1, 2, 3}, {3}, None


@pytest.mark.parametrize(
    ("left_ms", "age_ms", "chosen", "gone"),
    [
        (12 * HOUR_MS + 1, 80 * HOUR_MS, 1, ALL),
        (12 * HOUR_MS + 1, 80 * HOUR_MS, 3, ALL),
        (12 * HOUR_MS + 1, 0, 2, ALL),
        (12 * HOUR_MS, 0, 3, LAST),
        (12 * HOUR_MS, HOUR_MS, 3, LAST),
        (12 * HOUR_MS, HOUR_MS + 1, 3, NONE),
        (12 * HOUR_MS, 0, 2, NONE),
        (12 * HOUR_MS, 0, 1, NONE),
        (1, HOUR_MS, 3, LAST),
        (1, HOUR_MS + 1, 3, NONE),
    ],
)
def test_what_a_retraction_takes(left_ms, age_ms, chosen, gone):
    now_ms = END - left_ms
    own = [StandingBid(number, ANN, 10_00 * number, now_ms - age_ms - 3 + number) for number in (1, 2, 3)]
    if gone is NONE:
        with pytest.raises(BidNotRetractable):
            choose_retracted(LED, own, chosen, now_ms)
    else:
        assert choose_retracted(LED, own, chosen, now_ms) == gone


def test_the_windows_follow_an_extended_end():
    """A late bid that extends the auction does not open the early window again: less than 12 h stay less than 12 h."""
    extended = apply_bid(TERMS, LED, BOB, 950_00, END - 60_000)
    assert extended.ends_at_ms == END + 60_000
    own = [StandingBid(n, BOB, 950_00, END - 60_000) for n in (2, 3)]
    assert choose_retracted(extended, own, 3, END) == {3}
    with pytest.raises(BidNotRetractable):
        choose_retracted(extended, own, 2, END)
    with pytest.raises(AuctionNotLive):
        choose_retracted(extended, own, 3, END + 60_000)


# -- cancellation: at least 12 h left, or no bids; else by selling to the leader --


@pytest.mark.parametrize(
    ("left_ms", "bids", "cancels"),
    [
        (12 * HOUR_MS + 1, 1, True),
        (12 * HOUR_MS, 1, True),
        (12 * HOUR_MS - 1, 1, False),
        (1, 1, False),
        (12 * HOUR_MS - 1, 0, True),
        (1, 0, True),
    ],
)
def test_when_a_seller_may_cancel_and_may_always_sell_to_the_leader(left_ms, bids, cancels):
    state = LED if bids else NEW
    if cancels:
        assert cancel(TERMS, state, SELLER, END - left_ms).status == "cancelled"
    else:
        with pytest.raises(AuctionNotCancellable):
            cancel(TERMS, state, SELLER, END - left_ms)
    if bids:
        assert end_early(TERMS, state, SELLER, END - left_ms).status == "sold"
