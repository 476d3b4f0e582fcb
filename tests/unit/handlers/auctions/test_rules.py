"""Rules 1 and 3-5 as tables: each number in the sources is a case here."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from handlers.auctions.rules import (
    HOUR_MS,
    AuctionState,
    SaleTerms,
    SoftCloseTerms,
    StandingBid,
    Steps,
    apply_bid,
    buy_now,
    buy_now_price,
    cancel,
    choose_retracted,
    close,
    custom_steps,
    default_steps,
    end_early,
    open_state,
    reserve_met,
    retract,
    start,
)
from protocols.auctions.guards import AuctionNotEndable
from protocols.auctions.refusals import (
    AuctionNotCancellable,
    AuctionNotLive,
    BidNotRetractable,
    BidTooLow,
    BuyNowUnavailable,
    OwnAuction,
)
from protocols.errors import NotAllowed

SELLER, ANN, BOB, CAT = (UUID(int=n) for n in range(1, 5))
END = 1_000_000_000


def terms(start_price=10_00, *, reserve=None, buy=None, soft=None, steps=None, starts=0) -> SaleTerms:
    return SaleTerms(SELLER, start_price, reserve, buy, starts, END, steps or default_steps(2), soft)


def play(t: SaleTerms, *bids: tuple[UUID, int], at=1) -> AuctionState:
    state = open_state(t, t.starts_at_ms)
    for bidder, amount in bids:
        state = apply_bid(t, state, bidder, amount, at)
    return state


def seen(state: AuctionState) -> tuple[int, UUID | None]:
    return state.price, state.leader_id


# -- increments --


@pytest.mark.parametrize(
    ("price", "minimum"),
    [
        (14_95, 15_45),
        (127_50, 130_00),
        (200_00, 202_50),
        (4_99, 5_24),
        (5_00, 5_50),
        (4_999_99, 5_049_99),
        (99, 1_04),
        (1_00, 1_25),
        (24_99, 25_49),
        (25_00, 26_00),
        (99_99, 100_99),
        (100_00, 102_50),
        (249_99, 252_49),
        (250_00, 255_00),
        (499_99, 504_99),
        (500_00, 510_00),
        (999_99, 1_009_99),
        (1_000_00, 1_025_00),
        (2_499_99, 2_524_99),
        (2_500_00, 2_550_00),
        (5_000_00, 5_100_00),
    ],
)
def test_default_minimum_is_one_ebay_step_above_the_price(price, minimum):
    assert play(terms(price), (ANN, price)).minimum_bid == minimum


def test_default_table_scales_with_the_currency():
    assert default_steps(0).limits[:3] == (1, 5, 25)
    assert default_steps(0).steps == (1, 1, 1, 1, 3, 5, 10, 25, 50, 100)
    assert default_steps(3).limits[0] == 1_000
    assert default_steps(3).steps[:5] == (50, 250, 500, 1_000, 2_500)


def test_custom_table_uses_each_row_below_its_limit_and_the_last_above_all():
    trade_me = custom_steps([(20_00, 50), (200_00, 1_00), (None, 5_00)])
    assert [trade_me.at(p) for p in (1, 19_99, 20_00, 199_99, 200_00, 10**15)] == [50, 50, 100, 100, 500, 500]
    assert custom_steps([(20_00, 50)]) == Steps((), (50,))


@pytest.mark.parametrize(
    "rows",
    [
        [(None, 5), (100, 10)],
        [(100, 5), (100, 10)],
        [(200, 5), (100, 10), (None, 20)],
        [(100, 0), (None, 10)],
        [(-5, 1), (None, 10)],
    ],
)
def test_custom_table_out_of_order_is_refused(rows):
    with pytest.raises(ValueError, match=r"limit|ascend|positive"):
        custom_steps(rows)


# -- proxy bids and the reserve --


def test_first_bid_opens_at_the_starting_price():
    assert seen(play(terms(), (ANN, 50_00))) == (10_00, ANN)


def test_first_bid_at_the_reserve_opens_at_the_reserve():
    assert seen(play(terms(reserve=40_00), (ANN, 40_00))) == (40_00, ANN)


def test_first_bid_below_the_reserve_opens_at_the_starting_price():
    t = terms(reserve=40_00)
    state = play(t, (ANN, 39_99))
    assert seen(state) == (10_00, ANN)
    assert not reserve_met(t, state)


def test_below_the_reserve_the_price_is_one_step_over_the_runner_up():
    assert seen(play(terms(reserve=90_00), (ANN, 30_00), (BOB, 50_00))) == (31_00, BOB)


def test_a_challenger_who_meets_the_reserve_lifts_the_price_to_it():
    assert seen(play(terms(reserve=90_00), (ANN, 30_00), (BOB, 100_00))) == (90_00, BOB)


def test_new_leader_pays_one_step_over_the_loser():
    assert seen(play(terms(), (ANN, 20_00), (BOB, 50_00))) == (20_50, BOB)


def test_new_leader_never_pays_more_than_the_own_maximum():
    assert seen(play(terms(), (ANN, 20_00), (BOB, 20_10))) == (20_10, BOB)


def test_failed_challenge_raises_the_price_one_step_over_it():
    assert seen(play(terms(), (ANN, 50_00), (BOB, 20_00))) == (20_50, ANN)


def test_failed_challenge_raises_the_price_at_most_to_the_leaders_maximum():
    assert seen(play(terms(), (ANN, 50_00), (BOB, 49_90))) == (50_00, ANN)


def test_of_equal_maxima_the_earlier_leads_at_that_amount():
    state = play(terms(), (ANN, 50_00), (BOB, 50_00))
    assert seen(state) == (50_00, ANN)
    assert state.minimum_bid == 51_00


def test_leader_raising_the_own_maximum_does_not_move_the_price():
    state = play(terms(), (ANN, 50_00), (BOB, 20_00), (ANN, 80_00))
    assert seen(state) == (20_50, ANN)
    assert (state.leader_max, state.bid_count, state.event_number) == (80_00, 3, 4)


def test_leader_raising_the_own_maximum_to_the_reserve_moves_the_price_there():
    assert seen(play(terms(reserve=90_00), (ANN, 50_00), (ANN, 90_00))) == (90_00, ANN)


@pytest.mark.parametrize("amount", [49_99, 50_00])
def test_leader_must_raise_above_the_own_maximum(amount):
    with pytest.raises(BidTooLow) as refused:
        play(terms(), (ANN, 50_00), (ANN, amount))
    assert refused.value.facts == {"minimum_bid": 50_01}


def test_bid_below_the_starting_price_is_refused():
    with pytest.raises(BidTooLow) as refused:
        play(terms(), (ANN, 9_99))
    assert refused.value.facts == {"minimum_bid": 10_00}


def test_bid_below_the_increment_is_refused():
    with pytest.raises(BidTooLow) as refused:
        play(terms(), (ANN, 50_00), (BOB, 10_49))
    assert refused.value.facts == {"minimum_bid": 10_50}
    assert seen(play(terms(), (ANN, 50_00), (BOB, 10_50))) == (11_00, ANN)


def test_seller_cannot_bid():
    with pytest.raises(OwnAuction):
        play(terms(), (SELLER, 50_00))


def test_largest_amount_is_a_maximum_like_any_other():
    top = 2**53 - 1
    assert seen(play(terms(), (ANN, top), (BOB, top))) == (top, ANN)


def test_custom_table_rules_the_price():
    t = terms(100, steps=custom_steps([(1_000, 7), (None, 13)]))
    assert seen(play(t, (ANN, 500), (BOB, 2_000))) == (507, BOB)
    assert seen(play(t, (ANN, 1_500), (BOB, 2_000))) == (1_513, BOB)


# -- soft close --

SOFT = SoftCloseTerms(window_ms=120_000, extend_ms=180_000, max_extensions=2)


@pytest.mark.parametrize(
    ("at", "ends", "events"),
    [
        (END - 120_001, END, 2),
        (END - 120_000, END + 60_000, 3),
        (END - 119_999, END + 60_001, 3),
        (END - 1, END + 179_999, 3),
    ],
)
def test_soft_close_extends_from_exactly_the_window(at, ends, events):
    state = play(terms(soft=SOFT), (ANN, 50_00), at=at)
    assert (state.ends_at_ms, state.event_number) == (ends, events)


@pytest.mark.parametrize("at", [END, END + 1])
def test_bid_at_the_end_is_refused(at):
    with pytest.raises(AuctionNotLive):
        play(terms(soft=SOFT), (ANN, 50_00), at=at)


def test_extension_never_shortens_the_auction():
    short = SoftCloseTerms(window_ms=120_000, extend_ms=30_000, max_extensions=2)
    state = play(terms(soft=short), (ANN, 50_00), at=END - 60_000)
    assert (state.ends_at_ms, state.extensions) == (END, 0)


def test_extensions_are_capped():
    state = open_state(terms(soft=SOFT), 0)
    for amount in (50_00, 60_00, 70_00):
        state = apply_bid(terms(soft=SOFT), state, ANN, amount, state.ends_at_ms - 1)
    assert state.extensions == 2
    assert state.ends_at_ms == END + 2 * 179_999


# -- life --


def test_bid_before_the_start_is_refused():
    t = terms(starts=500)
    state = open_state(t, 499)
    assert state.status == "scheduled"
    with pytest.raises(AuctionNotLive):
        apply_bid(t, state, ANN, 50_00, 499)
    assert apply_bid(t, start(state), ANN, 50_00, 500).event_number == 3


def test_auction_with_a_leader_and_its_reserve_met_is_sold():
    t = terms(reserve=40_00)
    assert close(t, play(t, (ANN, 40_00))).status == "sold"
    assert close(t, play(t, (ANN, 39_99))).status == "unsold"
    assert close(t, play(t)).status == "unsold"
    assert close(terms(), play(terms(), (ANN, 10_00))).status == "sold"


def test_buy_now_stays_until_the_price_passes_it():
    t = terms(buy=30_00)
    under_a_higher_maximum = play(t, (ANN, 90_00), (BOB, 29_00))
    assert under_a_higher_maximum.price == 30_00
    bought = buy_now(t, under_a_higher_maximum, CAT, 1)
    assert (bought.status, bought.price, bought.leader_id) == ("sold", 30_00, CAT)
    passed = play(t, (ANN, 90_00), (BOB, 29_50))
    assert buy_now_price(t, passed) is None
    with pytest.raises(BuyNowUnavailable):
        buy_now(t, passed, CAT, 1)


def test_buy_now_is_refused_to_the_seller_without_a_price_and_after_the_end():
    with pytest.raises(OwnAuction):
        buy_now(terms(buy=30_00), play(terms()), SELLER, 1)
    with pytest.raises(BuyNowUnavailable):
        buy_now(terms(), play(terms()), ANN, 1)
    with pytest.raises(AuctionNotLive):
        buy_now(terms(buy=30_00), play(terms()), ANN, END)


def test_cancelling_is_for_the_seller_and_narrow_at_the_end():
    bid = play(terms(), (ANN, 50_00))
    assert cancel(terms(), bid, SELLER, END - 12 * HOUR_MS).status == "cancelled"
    with pytest.raises(AuctionNotCancellable):
        cancel(terms(), bid, SELLER, END - 12 * HOUR_MS + 1)
    assert cancel(terms(), play(terms()), SELLER, END - 1).status == "cancelled"
    with pytest.raises(NotAllowed):
        cancel(terms(), bid, ANN, 0)
    with pytest.raises(AuctionNotLive):
        cancel(terms(), replace(bid, status="sold"), SELLER, 0)


def test_ending_early_sells_to_the_leader_at_the_price_of_now_reserve_or_not():
    led = play(terms(reserve=90_00), (ANN, 50_00), (BOB, 60_00))
    for at_ms in (1, END - 1):
        sold = end_early(terms(reserve=90_00), led, SELLER, at_ms)
        assert (sold.status, sold.price, sold.leader_id) == ("sold", led.price, BOB)
        assert sold.event_number == led.event_number + 1
    with pytest.raises(NotAllowed):
        end_early(terms(), led, ANN, 1)
    with pytest.raises(AuctionNotLive):
        end_early(terms(), led, SELLER, END)
    for status in ("scheduled", "sold", "cancelled"):
        with pytest.raises(AuctionNotLive):
            end_early(terms(), replace(led, status=status), SELLER, 1)
    with pytest.raises(AuctionNotEndable, match="Nobody has bid"):
        end_early(terms(), play(terms()), SELLER, 1)
    with pytest.raises(AuctionNotEndable, match="as announced"):
        end_early(terms(), led, SELLER, 1, unsupported="It ends as announced")


# -- retraction --

EARLY = END - 12 * HOUR_MS - 1
LATE = END - 12 * HOUR_MS
OWN = [StandingBid(2, ANN, 20_00, LATE - HOUR_MS - 1), StandingBid(5, ANN, 40_00, LATE - HOUR_MS)]


def test_more_than_twelve_hours_before_the_end_all_own_bids_go():
    assert choose_retracted(play(terms()), OWN, 2, EARLY) == {2, 5}


def test_in_the_last_twelve_hours_only_the_last_bid_goes_and_only_within_an_hour():
    state = play(terms())
    assert choose_retracted(state, OWN, 5, LATE) == {5}
    with pytest.raises(BidNotRetractable, match="only your last"):
        choose_retracted(state, OWN, 2, LATE)
    with pytest.raises(BidNotRetractable, match="within one hour"):
        choose_retracted(state, OWN, 5, LATE + 1)


def test_retracting_twice_or_after_the_end_is_refused():
    with pytest.raises(BidNotRetractable):
        choose_retracted(play(terms()), OWN, 3, EARLY)
    with pytest.raises(AuctionNotLive):
        choose_retracted(play(terms()), OWN, 5, END)


def test_price_after_a_retraction_follows_from_the_remaining_log():
    t = terms()
    log = [StandingBid(2, ANN, 20_00, 1), StandingBid(3, BOB, 50_00, 1), StandingBid(4, CAT, 40_00, 1)]
    state = play(t, *((bid.bidder_id, bid.amount) for bid in log))
    assert seen(state) == (41_00, BOB)
    without_bob = retract(t, state, [log[0], log[2]], 2)
    assert seen(without_bob) == (20_50, CAT)
    assert (without_bob.bid_count, without_bob.event_number, without_bob.minimum_bid) == (2, 5, 21_00)


def test_after_the_last_bid_is_retracted_the_auction_is_as_new():
    t = terms(reserve=40_00)
    empty = retract(t, play(t, (ANN, 50_00)), [], 0)
    assert empty == replace(open_state(t, 0), event_number=3)
    assert empty.minimum_bid == 10_00
