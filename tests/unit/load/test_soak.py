"""The judge of a soak finds what was planted: a lost bid, a doubled one, one nobody acknowledged, an unequal event."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from load.client import Publication
from load.market import Receipt
from load.soak.evidence import Evidence

ROOT = Path(__file__).parents[3]
CHANNEL = "auctions:a"


def placed(number, bid_id):
    return event(number, {"type": "bid_placed", "bid_id": bid_id})


def event(number, data):
    return Publication(msgspec.Raw(json.dumps(data).encode()), number)


def evidence(*, events=((2, "x"), (3, "y")), receipts=((2, "x"), (3, "y"))):
    made = Evidence()
    made.note_event(CHANNEL, event(1, {"type": "auction_opened"}))
    for number, bid_id in events:
        made.note_event(CHANNEL, placed(number, bid_id))
    for number, bid_id in receipts:
        made.note_receipt(CHANNEL, Receipt(bid_id, number))
    return made


def test_what_agrees_is_no_violation():
    made = evidence()
    made.note_event(CHANNEL, placed(2, "x"))  # the next follower
    made.note_receipt(CHANNEL, Receipt("x", 2))  # the same bid answered again under its key
    made.compare(CHANNEL, 2)
    assert made.violations == []
    assert (made.taken, made.acked) == (4, 2)


@pytest.mark.parametrize(
    ("scene", "bid_count", "word"),
    [
        ({"events": [(2, "x")]}, 1, "is not event 3"),
        ({"events": [(2, "x"), (3, "z")]}, 2, "is not event 3"),
        ({"receipts": [(2, "x")]}, 2, "never acknowledged"),
        ({"events": [(2, "x"), (3, "y"), (4, "y")]}, 3, "placed twice"),
        ({}, 3, "2 bids were seen, the auction counts 3"),
        ({"receipts": [(2, "x"), (2, "y"), (3, "y")]}, 2, "promised to two bids"),
    ],
)
def test_what_does_not_agree_is_a_violation(scene, bid_count, word):
    made = evidence(**scene)
    made.compare(CHANNEL, bid_count)
    assert any(word in violation for violation in made.violations), made.violations


def test_an_event_that_differs_between_followers_is_a_violation():
    made = evidence()
    made.note_event(CHANNEL, placed(2, "q"))
    assert "not the same for everybody" in made.violations[0]


def test_an_unknown_soak_is_named_before_anything_starts():
    told = subprocess.run(
        [sys.executable, "-m", "load.soak", "rain"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 2
    assert "unknown: rain; there are kills, drain, storm" in told.stderr
