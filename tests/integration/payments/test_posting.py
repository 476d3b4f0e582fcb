"""Money on real PostgreSQL: whatever happens at once, the books add up and nothing is spent twice."""

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from protocols.payments.postings import PLATFORM, Account, Hold, HoldPart, PostHold, VoidHold
from protocols.payments.refusals import AccountFrozen, InsufficientFunds
from protocols.values import new_id, now_instant
from storage.engines.postgres import RACE, Database, open_database
from storage.payments import accounts_postgres
from storage.payments.accounts_postgres import (
    freeze_account,
    list_entries,
    lock_accounts,
    read_totals,
    read_wallets,
)
from storage.payments.posting_rules import available
from tests.support.money import COMMISSION, EXTERNAL, assert_books_are_right, book, top_up, transfer
from tests.support.waiting import until


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str) -> AsyncIterator[Database]:
    made = await open_database(database)
    yield made
    await made.close()


async def balance(pool: asyncpg.Pool, account: Account) -> int:
    return await pool.fetchval(
        "SELECT coalesce(sum(balance_minor), 0)::bigint FROM accounts"
        " WHERE owner_id = $1 AND currency = $2 AND purpose = $3",
        account.owner_id,
        account.currency,
        account.purpose,
    )


async def test_of_spends_at_once_as_many_pass_as_there_is_money_for(opened, pool):
    ann, bob = available(new_id(), "EUR"), available(new_id(), "EUR")
    await book(opened, [top_up(ann.owner_id, 1_000)])
    answers = await asyncio.gather(
        *(book(opened, [transfer(ann, bob, 90), transfer(ann, COMMISSION, 10)]) for _ in range(25))
    )
    refused = [answer for (answer,) in answers if answer is not None]
    assert len(refused) == 15
    assert all(isinstance(answer, InsufficientFunds) for answer in refused)
    assert (await balance(pool, ann), await balance(pool, bob)) == (0, 900)
    await assert_books_are_right(pool)


async def test_accounts_that_do_not_exist_yet_are_no_way_around_the_limit(opened, pool):
    for _ in range(5):
        ann, bob = available(new_id(), "EUR"), available(new_id(), "EUR")
        spends = [book(opened, [transfer(ann, bob, 1)]) for _ in range(4)]
        tops = [book(opened, [top_up(bob.owner_id, 5)]) for _ in range(4)]
        answers = await asyncio.gather(*spends, *tops)
        assert [isinstance(answer, InsufficientFunds) for (answer,) in answers] == [True] * 4 + [False] * 4
        assert await balance(pool, bob) == 20
    await assert_books_are_right(pool)


async def test_whoever_makes_an_account_holds_no_other_meanwhile(opened, pool):
    """Else two wait for each other whenever somebody's first money in a currency comes with other traffic."""
    first, second = sorted((available(new_id(), "EUR") for _ in range(2)), key=lambda each: each.owner_id)
    await book(opened, [top_up(second.owner_id, 5)])

    async def lock_both() -> list[Account]:
        async with opened.transaction() as db:
            return list(await lock_accounts(db, [first, second]))

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with opened.transaction() as db:
        await lock_accounts(db, [first])
        other = asyncio.create_task(lock_both())
        await until(lambda: pool.fetchval(waiting), "the other who needs the new account")
        await lock_accounts(db, [second])  # in order, and free
    assert {*await other} == {first, second}


async def test_one_id_moves_money_once_however_often_and_whenever_it_is_asked(opened, pool):
    ann, bob = available(new_id(), "EUR"), available(new_id(), "EUR")
    first = top_up(ann.owner_id, 500)
    paid = transfer(ann, bob, 400)
    for chain in ([first], [paid]):
        answers = await asyncio.gather(*(book(opened, chain) for _ in range(6)))
        assert answers == [[None]] * 6
    assert await book(opened, [paid], [paid]) == [None, None]
    assert (await balance(pool, ann), await balance(pool, bob)) == (100, 400)
    await assert_books_are_right(pool)


async def test_a_hold_ends_once_whoever_comes_first(opened, pool):
    for _ in range(4):
        ann, bob = new_id(), available(new_id(), "EUR")
        hold = Hold(
            hold_id=new_id(),
            owner_id=ann,
            currency="EUR",
            amount_minor=700,
            ref=new_id(),
            expires_at_ms=now_instant() + 60_000,
        )
        assert await book(opened, [top_up(ann, 1_000)], [hold]) == [None, None]
        ends = [
            *(
                PostHold(
                    hold_id=hold.hold_id,
                    parts=(HoldPart(transfer_id=new_id(), credit=bob, amount_minor=600, reason="sale"),),
                    return_id=new_id(),
                )
                for _ in range(3)
            ),
            *(VoidHold(hold_id=hold.hold_id, return_id=new_id()) for _ in range(3)),
        ]
        await asyncio.gather(*(book(opened, [end]) for end in ends))
        status = await pool.fetchval("SELECT status FROM holds WHERE hold_id = $1", hold.hold_id)
        there = 600 if status == "posted" else 0
        assert (await balance(pool, bob), await balance(pool, available(ann, "EUR"))) == (
            there,
            1_000 - there,
        )
    await assert_books_are_right(pool)


async def test_the_database_itself_keeps_limits_and_history(opened, pool):
    ann = new_id()
    await book(opened, [top_up(ann, 10)])
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("UPDATE accounts SET balance_minor = -1 WHERE owner_id = $1", ann)
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("UPDATE accounts SET balance_minor = 9007199254740992 WHERE owner_id = $1", ann)
    for statement in ("UPDATE transfers SET amount_minor = 1", "DELETE FROM transfers", "TRUNCATE transfers"):
        with pytest.raises(asyncpg.RaiseError, match="never changed"):
            await pool.execute(statement)


async def test_the_markets_own_accounts_have_a_row_per_process_and_one_balance(opened, pool, monkeypatch):
    bob = new_id()
    before = await balance(pool, COMMISSION)
    paid = []
    for pid in (100, 101, 101):
        monkeypatch.setattr(accounts_postgres.os, "getpid", lambda pid=pid: pid)
        paid.append(transfer(available(bob, "EUR"), COMMISSION, 30))
        await book(opened, [top_up(bob, 30), paid[-1]])
    assert await balance(pool, COMMISSION) == before + 90
    stripes = (
        "SELECT count(*) FROM accounts WHERE owner_id = $1 AND purpose = 'commission' AND currency = 'EUR'"
    )
    assert await pool.fetchval(stripes, PLATFORM) >= 2
    assert await book(opened, [paid[0]]) == [None]  # a repeat that another process answers
    assert await balance(pool, COMMISSION) == before + 90
    await assert_books_are_right(pool)


async def test_a_frozen_account_gives_nothing_until_it_is_thawed(opened):
    ann, bob = available(new_id(), "EUR"), available(new_id(), "EUR")
    async with opened.transaction() as db:
        await freeze_account(db, ann, frozen=True)
    answers = await book(opened, [top_up(ann.owner_id, 10)], [transfer(ann, bob, 1)])
    assert isinstance(answers[1], AccountFrozen)
    async with opened.transaction() as db:
        await freeze_account(db, ann, frozen=False)
        assert not any(row.frozen for row in await read_wallets(db, ann.owner_id))
    assert await book(opened, [transfer(ann, bob, 1)]) == [None]


async def test_whoever_pays_a_debtor_at_once_the_debt_is_paid_first_and_once(opened, pool):
    for _ in range(3):
        ann, bob = available(new_id(), "EUR"), available(new_id(), "EUR")
        owed = Account(ann.owner_id, "EUR", "receivable")
        await book(opened, [transfer(owed, EXTERNAL, 500, "chargeback")], [top_up(bob.owner_id, 2_000)])
        incomes = [book(opened, [transfer(bob, ann, 90)]) for _ in range(5)]
        tops = [book(opened, [top_up(ann.owner_id, 30)], [transfer(ann, bob, 30)]) for _ in range(5)]
        more_debt = [book(opened, [transfer(owed, EXTERNAL, 10, "chargeback")]) for _ in range(3)]
        answers = await asyncio.gather(*incomes, *tops, *more_debt)
        passed = sum(answer[1] is None for answer in answers[5:10])
        paid = 5 * 90 + 5 * 30 - 30 * passed
        assert await balance(pool, owed) == -max(0, 530 - paid) or await balance(pool, ann) > 0
        assert await balance(pool, ann) + await balance(pool, owed) == paid - 530
    await assert_books_are_right(pool)


async def test_statements_show_both_sides_in_order_with_a_running_balance(opened):
    ann, bob = available(new_id(), "EUR"), available(new_id(), "EUR")
    await book(opened, [top_up(ann.owner_id, 100)], [transfer(ann, bob, 30)], [transfer(bob, ann, 5)])
    async with opened.connection() as db:
        rows = await list_entries(db, ann, 2**63 - 1, 10)
        assert [(r.number, r.amount_minor, r.balance_minor) for r in rows] == [
            (3, 5, 75),
            (2, -30, 70),
            (1, 100, 100),
        ]
        assert [row.number for row in await list_entries(db, ann, 3, 1)] == [2]
        assert await list_entries(db, available(new_id(), "EUR"), 10, 10) == []


async def test_random_work_at_once_leaves_the_books_right(opened, pool):
    people = [new_id() for _ in range(5)]
    escrow = [Account(new_id(), "EUR", "escrow") for _ in range(2)]
    await book(opened, *([top_up(person, 2_000)] for person in people))
    holds: list[Hold] = []

    async def work(seed: int) -> int:
        rng = random.Random(seed)
        booked = 0
        for _ in range(40):
            chains = [
                [random_step(rng, people, escrow, holds) for _ in range(rng.randint(1, 3))] for _ in range(3)
            ]
            for _attempt in range(5):
                try:
                    answers = await book(opened, *chains)
                    break
                except RACE:
                    continue
            booked += answers.count(None)
        return booked

    booked = await asyncio.gather(*(work(seed) for seed in range(6)))
    assert sum(booked) > 200
    await assert_books_are_right(pool)
    async with opened.connection() as db:
        totals = {row.purpose: row.balance_minor for row in await read_totals(db) if row.currency == "EUR"}
    assert totals.pop("open_holds", 0) == totals["held"]
    assert sum(totals.values()) == 0


def random_step(rng, people, escrow, holds):
    kind = rng.random()
    spendable = [available(person, "EUR") for person in people]
    if kind < 0.5 or not holds:
        debit, credit = rng.sample([*spendable, *escrow, COMMISSION, EXTERNAL], 2)
        return transfer(debit, credit, rng.randint(1, 400))
    if kind < 0.7 or len(holds) < 5:
        expires = now_instant() + 60_000
        holds.append(
            Hold(
                hold_id=new_id(),
                owner_id=rng.choice(people),
                currency="EUR",
                amount_minor=rng.randint(1, 400),
                ref=new_id(),
                expires_at_ms=expires,
            )
        )
        return holds[-1]
    hold = rng.choice(holds)
    if kind < 0.85:
        return VoidHold(hold_id=hold.hold_id, return_id=new_id())
    part = HoldPart(
        transfer_id=new_id(),
        credit=rng.choice([*spendable, *escrow]),
        amount_minor=rng.randint(1, hold.amount_minor),
        reason="sale",
    )
    return PostHold(hold_id=hold.hold_id, parts=(part,), return_id=new_id())
