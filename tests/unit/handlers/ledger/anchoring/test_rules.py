"""What becomes of an anchor, step by step."""

from dataclasses import replace
from typing import Any

import pytest

from handlers.ledger.anchoring import rules
from handlers.ledger.anchoring.rules import (
    Adopt,
    Begin,
    Done,
    Fail,
    Finish,
    Include,
    Limits,
    Open,
    Replace,
    Seen,
    Send,
    State,
    Tree,
    Vanish,
    Wait,
)
from protocols.ledger.chains import Fees, Included, Place

HERE, ELSEWHERE = Place(1, "0x" + "11" * 20), Place(5, "0x" + "22" * 20)
OLD, NEW = Tree(10, b"o" * 32), Tree(20, b"n" * 32)
NOW = 10_000_000
LIMITS = Limits(HERE, interval_ms=3_600_000, fee_max=1_000)
SENT = Send("0xaa", b"raw", Fees(200, 20), NOW - 1_000)
STUCK = replace(SENT, at_ms=NOW - rules.STUCK_MS)
OPEN = Open(7, NEW, HERE, nonce=3, sends=[SENT], block=None, changed_at_ms=NOW - rules.STUCK_MS)
DONE = Done(6, OLD, HERE, started_at_ms=NOW - 3_600_000)
IDLE = State(newest=NEW, open=None, done=DONE, looked_at_ms=0)
UNDER_WAY = State(newest=NEW, open=OPEN, done=DONE, looked_at_ms=NOW)
SEEN = Seen(
    head=100,
    head_at_ms=NOW - 10,
    final=90,
    nonce=3,
    final_nonce=3,
    included=None,
    asked=Fees(100, 10),
    balance=1_000_000,
    gas=100,
    owned=True,
    chain_size=10,
    chain_root=None,
)
FRESH = Included("0xaa", 95, succeeded=True)
FINAL = Included("0xaa", 90, succeeded=True)


def state_of(**changed: Any) -> State:
    return replace(UNDER_WAY, open=replace(OPEN, **changed))


TABLE: dict[str, tuple[State, dict[str, Any], Any]] = {
    # nothing on its way
    "begins": (IDLE, {}, Begin(NEW, 3, Fees(100, 10))),
    "begins the very first": (replace(IDLE, done=None), {"chain_size": 0}, Begin(NEW, 3, Fees(100, 10))),
    "waits for the interval": (replace(IDLE, done=replace(DONE, started_at_ms=NOW - 3_599_999)), {}, Wait()),
    "has nothing new": (replace(IDLE, newest=OLD), {}, Wait()),
    "has no tree": (replace(IDLE, newest=None, done=None), {}, Wait()),
    "does not anchor an empty log": (replace(IDLE, newest=Tree(0, b"e" * 32), done=None), {}, Wait()),
    "another contract begins at once": (
        replace(IDLE, newest=OLD, done=replace(DONE, place=ELSEWHERE, started_at_ms=NOW)),
        {"chain_size": 0},
        Begin(OLD, 3, Fees(100, 10)),
    ),
    "a final one that is gone is no anchor": (IDLE, {"chain_size": 9}, Fail(6, "vanished")),
    "one of before the backup is adopted": (IDLE, {"chain_size": 20, "chain_root": NEW.root}, Adopt(NEW)),
    "an adopted one needs no key": (IDLE, {"chain_root": NEW.root, "owned": False}, Adopt(NEW)),
    "the key must own": (IDLE, {"owned": False}, "not_owner"),
    "the chain is ahead": (IDLE, {"chain_size": 20, "chain_root": b"x" * 32}, "chain_ahead"),
    "the chain is further ahead": (IDLE, {"chain_size": 21}, "chain_ahead"),
    "too dear": (IDLE, {"asked": Fees(1_001, 1)}, "fee_too_high"),
    "just not too dear": (IDLE, {"asked": Fees(1_000, 1)}, Begin(NEW, 3, Fees(1_000, 1))),
    "no funds": (IDLE, {"balance": 9_999}, "no_funds"),
    "just enough": (IDLE, {"balance": 10_000}, Begin(NEW, 3, Fees(100, 10))),
    # sent
    "waits for a block": (UNDER_WAY, {}, Wait()),
    "stuck": (state_of(sends=[STUCK]), {}, Replace(Fees(226, 23))),
    "stuck while the chain asks for more": (
        state_of(sends=[STUCK]),
        {"asked": Fees(500, 5)},
        Replace(Fees(500, 23)),
    ),
    "not long enough": (state_of(sends=[replace(STUCK, at_ms=STUCK.at_ms + 1)]), {}, Wait()),
    "no block came meanwhile": (state_of(sends=[STUCK]), {"head_at_ms": STUCK.at_ms}, Wait()),
    "it came back from a block just now": (state_of(sends=[STUCK], changed_at_ms=NOW - 1_000), {}, Wait()),
    "the newest send counts": (state_of(sends=[STUCK, SENT]), {}, Wait()),
    "not above the operator's limit": (state_of(sends=[replace(STUCK, fees=Fees(900, 9))]), {}, Wait()),
    "paying yet more is fruitless": (state_of(sends=[STUCK]), {"asked": Fees(20, 2)}, Wait()),
    "those before its nonce are missing": (state_of(sends=[STUCK]), {"nonce": 2}, Fail(7, "nonce_gap")),
    "those before its nonce may come": (UNDER_WAY, {"nonce": 2}, Wait()),
    "its nonce was taken, perhaps": (UNDER_WAY, {"nonce": 4}, Wait()),
    "its nonce was taken for good": (UNDER_WAY, {"nonce": 4, "final_nonce": 4}, Fail(7, "nonce_taken")),
    "taken by the same anchor": (
        UNDER_WAY,
        {"nonce": 4, "final_nonce": 4, "chain_root": NEW.root},
        Finish(None),
    ),
    "the setting changed": (state_of(place=ELSEWHERE), {}, Fail(7, "other_contract")),
    # in a block
    "included": (UNDER_WAY, {"included": FRESH}, Include(FRESH)),
    "still included": (state_of(block=95), {"included": FRESH}, Wait()),
    "in another block": (state_of(block=94), {"included": FRESH}, Include(FRESH)),
    "final": (state_of(block=90), {"included": FINAL}, Finish(FINAL)),
    "final at first sight": (UNDER_WAY, {"included": FINAL}, Finish(FINAL)),
    "one block before": (state_of(block=91), {"included": replace(FRESH, block=91)}, Wait()),
    "vanished": (state_of(block=95), {}, Vanish()),
    "vanished, long ago sent": (state_of(block=95, sends=[STUCK]), {}, Vanish()),
    "a revert may vanish too": (
        UNDER_WAY,
        {"included": replace(FRESH, succeeded=False)},
        Include(replace(FRESH, succeeded=False)),
    ),
    "reverted for good": (
        state_of(block=90),
        {"included": replace(FINAL, succeeded=False)},
        Fail(7, "reverted"),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_next_step(name: str):
    state, seen, expected = TABLE[name]
    assert rules.decide(state, replace(SEEN, **seen), LIMITS, NOW) == expected


def test_a_node_is_asked_when_there_is_something_to_decide():
    resting = replace(UNDER_WAY, looked_at_ms=NOW - rules.LOOK_MS + 1)
    fresh = state_of(changed_at_ms=NOW - 10)
    for state, due in (
        (IDLE, True),
        (replace(IDLE, newest=OLD), False),
        (replace(IDLE, done=replace(DONE, started_at_ms=NOW)), False),
        (resting, False),
        (replace(resting, looked_at_ms=NOW - rules.LOOK_MS), True),
        (replace(fresh, looked_at_ms=NOW - 10), False),
        (replace(fresh, looked_at_ms=NOW - 11), True),  # what was just signed is sent at once
    ):
        assert rules.is_look_due(state, LIMITS, NOW) is due


def test_each_replacement_offers_enough_more_for_a_node_to_take_it():
    fees = Fees(7, 1)
    for _ in range(60):
        more = rules.raise_fees(fees, Fees(1, 1))
        assert more.most * 8 >= fees.most * 9
        assert more.tip * 8 >= fees.tip * 9
        assert more.tip <= more.most
        fees = more
