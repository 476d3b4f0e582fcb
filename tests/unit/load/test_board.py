"""The demo's board finds every broken promise, and no other."""

import time

import pytest

from load.demo.board import Board, Lot, View
from load.demo.screen import curve, plain_line

END = "2026-11-22T18:30:00.000Z"


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def lot(board):
    board.lots["a"] = Lot("a", "Radio", "seller", 1000, 1000, time.time() + 60, watchers=1)
    return board.lots["a"]


def view_at(lot, number, price=1000):
    return View("amina", lot, number, price)


def bid(bid_id, price, **more):
    return {"type": "bid_placed", "bid_id": bid_id, "price": price, "minimum_bid": price + 100, **more}


def receipt(bid_id, number, outcome="leading"):
    return {"bid_id": bid_id, "offset": number, "outcome": outcome, "price": 1000}


def test_events_in_order_are_no_error_and_move_the_lot(board, lot):
    view = view_at(lot, 1)
    board.show_event(view, 2, bid("x", 1000, bid_count=1, leader="m", ends_at=END))
    board.show_event(view, 3, bid("y", 1100, bid_count=2, leader="n", ends_at=END))
    assert board.errors == []
    assert (lot.price, lot.minimum_bid, lot.bid_count, lot.leader, lot.number) == (1100, 1200, 2, "n", 3)


@pytest.mark.parametrize("number", [1, 3, 7])
def test_event_that_does_not_follow_its_predecessor_is_an_error(board, lot, number):
    board.show_event(view_at(lot, 1), number, bid("x", 1000))
    assert len(board.errors) == 1
    assert "saw event" in board.errors[0]


def test_price_that_falls_is_an_error_unless_a_bid_was_retracted(board, lot):
    view = view_at(lot, 1, price=1500)
    board.show_event(view, 2, {"type": "bid_retracted", "price": 1200})
    assert board.errors == []
    board.show_event(view, 3, bid("x", 1100))
    assert "fell from 1200 to 1100" in board.errors[0]


def test_two_users_who_see_different_bids_under_one_number_are_an_error(board, lot):
    board.show_event(view_at(lot, 1), 2, bid("x", 1000))
    board.show_event(view_at(lot, 1), 2, bid("y", 1000))
    assert "two different bids" in board.errors[0]


def test_one_number_promised_to_two_bids_is_an_error(board, lot):
    board.ack_bid(lot, "amina", receipt("x", 2), time.monotonic())
    board.ack_bid(lot, "badr", receipt("y", 2), time.monotonic())
    assert "promised to two bids" in board.errors[0]


def test_acknowledged_bid_nobody_saw_is_an_error(board, lot):
    board.ack_bid(lot, "amina", receipt("x", 2), time.monotonic())
    board.check_end(lot, {"bid_count": 1})
    assert "nobody saw" in board.errors[0]


def test_acknowledged_bid_the_server_does_not_count_is_an_error(board, lot):
    board.ack_bid(lot, "amina", receipt("x", 2), time.monotonic())
    board.show_event(view_at(lot, 1), 2, bid("x", 1000))
    board.check_end(lot, {"bid_count": 0})
    assert "counts 0 bids" in board.errors[0]


def test_bid_seen_before_and_after_its_answer_counts_twice_as_sighting(board, lot):
    sent_at = time.monotonic()
    board.show_event(view_at(lot, 1), 2, bid("x", 1000))
    board.ack_bid(lot, "amina", receipt("x", 2), sent_at)
    board.show_event(view_at(lot, 1), 2, bid("x", 1000))
    board.check_end(lot, {"bid_count": 1})
    assert board.errors == []
    assert len(board.sightings) == 2


def test_snapshot_older_than_what_others_saw_does_not_turn_the_lot_back(board, lot):
    board.show_event(view_at(lot, 1), 2, bid("x", 1300))
    late = view_at(lot, 0)
    board.show_snapshot(
        late, {"position": {"offset": 1}, "price": 1000, "minimum_bid": 1000, "status": "live"}
    )
    assert lot.price == 1300
    assert late.number == 1


def test_closed_auction_shows_its_outcome(board, lot):
    board.show_event(
        view_at(lot, 1), 2, {"type": "auction_closed", "outcome": "sold", "price": 1000, "winner": "m"}
    )
    assert lot.status == "sold"
    assert "sold to m for € 10.00" in board.recent[-1]


def test_plain_line_tells_the_figures(board, lot):
    board.ack_bid(lot, "amina", receipt("x", 2), time.monotonic())
    assert "1 bids" in plain_line(board)
    assert "1 auctions (1 live)" in plain_line(board)


def test_curve_is_as_high_as_its_values():
    assert curve([0, 4, 8]) == " ▄█"
    assert curve([]) == ""
