"""Chains on the books: whole or not at all, whatever their steps are."""

import random
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import Refusal
from protocols.payments.postings import (
    LIMITED,
    PLATFORM,
    Account,
    Hold,
    HoldPart,
    PostHold,
    Transfer,
    VoidHold,
)
from protocols.payments.refusals import (
    AccountFrozen,
    BalanceTooLarge,
    HoldEnded,
    HoldExpired,
    HoldNotFound,
    HoldTooSmall,
    InsufficientFunds,
    TransferDiffers,
)
from protocols.values import AMOUNT_MAX, new_id
from storage.payments.posting_rules import (
    AccountRow,
    Books,
    accept,
    accounts_of,
    apply_chain,
    available,
    held,
)

ANN, BOB = new_id(), new_id()
ANNS, BOBS = available(ANN, "EUR"), available(BOB, "EUR")
ANNS_HELD = held(ANN, "EUR")
EXTERNAL, COMMISSION = Account(PLATFORM, "EUR", "external"), Account(PLATFORM, "EUR", "commission")
ESCROW = Account(new_id(), "EUR", "escrow")
ALL = [ANNS, BOBS, ANNS_HELD, held(BOB, "EUR"), EXTERNAL, COMMISSION, ESCROW]
NOW, ABOUT = 1_000, UUID(int=7)


def books_with(**balances: int) -> Books:
    rows = {
        account: AccountRow(account_id=place, balance_minor=0, entries=0, frozen=False)
        for place, account in enumerate(ALL)
    }
    books = Books(rows)
    for owner, amount in balances.items():
        done(books, move(EXTERNAL, ANNS if owner == "ann" else BOBS, amount))
    return books


def move(debit, credit, amount, transfer_id=None, ref=ABOUT, reason="sale"):
    return Transfer(
        transfer_id=transfer_id or new_id(),
        debit=debit,
        credit=credit,
        amount_minor=amount,
        reason=reason,
        ref=ref,
    )


def take(amount, hold_id=None, owner=ANN, expires=NOW + 100):
    return Hold(
        hold_id=hold_id or new_id(),
        owner_id=owner,
        currency="EUR",
        amount_minor=amount,
        ref=UUID(int=8),
        expires_at_ms=expires,
    )


def use(hold, *parts):
    made = tuple(HoldPart(transfer_id=new_id(), credit=c, amount_minor=a, reason="sale") for c, a in parts)
    return PostHold(hold_id=hold.hold_id, parts=made, return_id=new_id())


def done(books, *chain, now=NOW):
    accept(books, apply_chain(books, chain, now))


def balances(books):
    return {account: row.balance_minor for account, row in books.accounts.items() if row.balance_minor}


def test_a_chain_moves_all_its_money_and_numbers_its_entries():
    books = books_with(ann=1_000)
    done(books, move(ANNS, BOBS, 900), move(ANNS, COMMISSION, 100))
    assert balances(books) == {EXTERNAL: -1_000, BOBS: 900, COMMISSION: 100}
    assert books.accounts[ANNS].entries == 3


def test_a_refused_step_leaves_nothing_of_its_chain():
    books = books_with(ann=1_000)
    before = dict(books.accounts)
    with pytest.raises(InsufficientFunds) as refusal:
        done(books, move(ANNS, BOBS, 900), move(ANNS, COMMISSION, 101))
    assert refusal.value.facts == {"available": 100, "currency": "EUR"}
    assert books.accounts == before


def test_money_that_comes_in_within_a_chain_may_leave_within_it():
    books = books_with()
    done(books, move(EXTERNAL, ANNS, 5), move(ANNS, BOBS, 5))
    assert balances(books) == {EXTERNAL: -5, BOBS: 5}


def test_a_repeated_transfer_moves_nothing_and_another_one_of_its_id_is_refused():
    books = books_with(ann=1_000)
    paid = move(ANNS, BOBS, 600)
    done(books, paid)
    done(books, paid)
    assert balances(books)[BOBS] == 600
    for other in (
        move(ANNS, BOBS, 599, paid.transfer_id),
        move(ANNS, COMMISSION, 600, paid.transfer_id),
        move(ANNS, BOBS, 600, paid.transfer_id, ref=UUID(int=9)),
        move(ANNS, BOBS, 600, paid.transfer_id, reason="refund"),
    ):
        with pytest.raises(TransferDiffers):
            done(books, other)


def test_a_hold_is_used_in_parts_and_its_rest_returns():
    books = books_with(ann=1_000)
    hold = take(800)
    done(books, hold)
    assert balances(books) == {EXTERNAL: -1_000, ANNS: 200, ANNS_HELD: 800}
    used = use(hold, (BOBS, 500), (COMMISSION, 50))
    done(books, used)
    assert balances(books) == {EXTERNAL: -1_000, ANNS: 450, BOBS: 500, COMMISSION: 50}
    done(books, used)
    done(books, hold)
    assert balances(books) == {EXTERNAL: -1_000, ANNS: 450, BOBS: 500, COMMISSION: 50}
    with pytest.raises(HoldEnded) as ended:
        done(books, use(hold, (BOBS, 500), (COMMISSION, 50)))
    assert ended.value.facts == {"hold_status": "posted"}
    with pytest.raises(HoldEnded):
        done(books, VoidHold(hold_id=hold.hold_id, return_id=new_id()))


def test_a_hold_is_given_back_once():
    books = books_with(ann=1_000)
    hold = take(800)
    done(books, hold)
    for _ in range(2):
        done(books, VoidHold(hold_id=hold.hold_id, return_id=new_id()))
        assert balances(books) == {EXTERNAL: -1_000, ANNS: 1_000}
    assert books.holds[hold.hold_id].status == "voided"
    with pytest.raises(HoldEnded):
        done(books, use(hold, (BOBS, 1)))


def test_a_hold_ends_at_its_time_and_not_before():
    books = books_with(ann=1_000)
    hold = take(800, expires=NOW + 10)
    done(books, hold)
    with pytest.raises(HoldExpired):
        done(books, use(hold, (BOBS, 800)), now=NOW + 10)
    done(books, VoidHold(hold_id=hold.hold_id, return_id=new_id()), now=NOW + 10)
    assert books.holds[hold.hold_id].status == "expired"
    other = take(800, expires=NOW + 10)
    done(books, other)
    done(books, use(other, (BOBS, 800)), now=NOW + 9)
    assert balances(books) == {EXTERNAL: -1_000, ANNS: 200, BOBS: 800}


def test_a_hold_has_no_more_than_it_took():
    books = books_with(ann=1_000)
    hold = take(800)
    done(books, hold)
    with pytest.raises(HoldTooSmall) as refusal:
        done(books, use(hold, (BOBS, 700), (COMMISSION, 101)))
    assert refusal.value.facts == {"held": 800, "currency": "EUR"}
    with pytest.raises(HoldNotFound):
        done(books, use(take(1), (BOBS, 1)))
    with pytest.raises(InsufficientFunds):
        done(books, take(201))


def test_a_frozen_account_takes_money_and_gives_none():
    books = books_with(ann=1_000)
    frozen = books.accounts[ANNS]
    books.accounts[ANNS] = AccountRow(
        account_id=frozen.account_id, balance_minor=frozen.balance_minor, entries=frozen.entries, frozen=True
    )
    for step in (move(ANNS, BOBS, 1), take(1)):
        with pytest.raises(AccountFrozen):
            done(books, step)
    done(books, move(EXTERNAL, ANNS, 1))
    assert balances(books)[ANNS] == 1_001


def test_no_balance_grows_past_what_can_be_counted_exactly():
    books = books_with(ann=AMOUNT_MAX)
    for step in (move(EXTERNAL, ANNS, 1), move(EXTERNAL, BOBS, 1)):
        with pytest.raises(BalanceTooLarge):
            done(books, step)


def test_what_no_caller_may_ask_is_a_bug():
    books = books_with(ann=1_000)
    dollars = Account(BOB, "USD", "available")
    for step in (move(ANNS, dollars, 1), move(ANNS, BOBS, 0), move(ANNS, BOBS, -1), take(1, expires=NOW)):
        with pytest.raises(AssertionError):
            done(books, step)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_random_chains_keep_the_books_right(seed):
    rng = random.Random(seed)
    books, holds, asked = books_with(ann=500, bob=500), [], []
    for _ in range(60):
        chain = [random_step(rng, holds) for _ in range(rng.randint(1, 3))]
        if asked and rng.random() < 0.2:
            chain = rng.choice(asked)  # a repeat
        asked.append(chain)
        before = (dict(books.accounts), dict(books.holds))
        try:
            draft = apply_chain(books, chain, NOW + rng.randint(0, 150))
        except Refusal:
            assert (books.accounts, books.holds) == before
            continue
        assert draft.accounts.keys() <= accounts_of(chain, books.holds | draft.holds)
        accept(books, draft)
        holds += [step for step in chain if isinstance(step, Hold)]
        assert sum(row.balance_minor for row in books.accounts.values()) == 0
        assert all(row.balance_minor >= 0 for a, row in books.accounts.items() if a.purpose in LIMITED)
        open_holds = Counter()
        for hold in books.holds.values():
            open_holds[hold.owner_id] += hold.amount_minor if hold.status == "held" else 0
        for owner in (ANN, BOB):
            assert open_holds[owner] == books.accounts[held(owner, "EUR")].balance_minor


def random_step(rng, holds):
    kind = rng.random()
    if kind < 0.4 or not holds:
        debit, credit = rng.sample([ANNS, BOBS, EXTERNAL, COMMISSION, ESCROW], 2)
        return move(debit, credit, rng.randint(1, 300))
    if kind < 0.6:
        return take(
            rng.randint(1, 300), owner=rng.choice((ANN, BOB)), expires=NOW + 151 + rng.randint(0, 100)
        )
    hold = rng.choice(holds)
    if kind < 0.8:
        return VoidHold(hold_id=hold.hold_id, return_id=new_id())
    return use(
        hold,
        *((rng.choice((BOBS, ESCROW, COMMISSION)), rng.randint(1, 200)) for _ in range(rng.randint(0, 2))),
    )
