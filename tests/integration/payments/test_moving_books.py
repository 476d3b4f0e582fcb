"""The judge of `./mnbara soak money` finds what was planted in books and journals."""

import json

import pytest
import pytest_asyncio

from protocols.payments.postings import PostHold, VoidHold
from protocols.values import new_id
from storage.engines.postgres import open_database
from storage.payments.posting_rules import available
from tests.support.money import book, top_up, transfer
from tests.support.moving_books import Journal, Mover, check, read_journal


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def books(database):
    opened = await open_database(database)
    yield opened
    await opened.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mover.jsonl"


@pytest.fixture
def journal(path):
    opened = Journal(path)
    yield opened
    opened.close()


async def test_what_the_mover_did_agrees_with_the_books(books, database, path, journal):
    mover = Mover(books, journal, [new_id() for _ in range(4)], "1")
    for number in range(60):
        chain = await mover._invent()
        journal.want(str(number), chain)
        await mover.settle(str(number), chain)
    told = await check(database, [path])
    assert told["violations"] == []
    assert sum(told["counts"].values()) == 60


async def test_a_last_life_answers_what_a_killed_one_began(books, database, path, journal):
    user = new_id()
    chain = [top_up(user, 70)]
    journal.want("1", chain)
    assert "1 was never answered" in (await check(database, [path]))["violations"]
    await book(books, chain)  # booked, and killed before the answer
    await Mover(books, journal, [user], "1").settle("1", read_journal(path)[0]["1"])
    with path.open("a") as file:
        file.write('{"want": "2", "cha')  # killed while it wrote
    assert (await check(database, [path]))["violations"] == []


@pytest.mark.parametrize(("code", "word"), [("", "is not"), ("insufficient_funds", "refused with")])
async def test_an_answer_that_the_books_do_not_have_is_found(books, database, path, journal, code, word):
    chain = [transfer(available(new_id(), "EUR"), available(new_id(), "EUR"), 5)]
    if code:
        chain = [top_up(new_id(), 5)]
        await book(books, chain)
    journal.want("1", chain)
    journal.answered("1", code)
    (violation,) = (await check(database, [path]))["violations"]
    assert word in violation


async def test_a_hold_that_was_resolved_twice_is_found(database, path, journal):
    hold_id = new_id()
    journal.want("1", [VoidHold(hold_id=hold_id, return_id=new_id())])
    journal.want("2", [PostHold(hold_id=hold_id, parts=(), return_id=new_id())])
    for number in ("1", "2"):
        journal.answered(number, "")
    (violation,) = (await check(database, [path]))["violations"]
    assert "was resolved as" in violation


async def test_a_balance_changed_by_hand_is_found(books, pool, database, path, journal):
    await book(books, [top_up(new_id(), 9)])
    journal.answered("1", "")
    path.write_text(json.dumps({"violation": "noted"}) + "\n")
    change = "UPDATE accounts SET balance_minor = balance_minor + $1 WHERE purpose = 'available' AND balance_minor = 9"
    await pool.execute(change, 1)
    violations = (await check(database, [path]))["violations"]
    assert violations[0].startswith("the books are not right")
    assert violations[1] == "noted"
