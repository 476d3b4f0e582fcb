"""Escrows on real PostgreSQL: whatever happens at once or twice, money goes one way and a freeze stops it."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from msgspec.structs import replace as replace_struct

from protocols.errors import InvalidInput, NotAllowed, Refusal
from protocols.payments.escrows import (
    EscrowPart,
    FreezeEscrow,
    RefundEscrow,
    ReleaseEscrow,
    ResolveEscrow,
    UnfreezeEscrow,
)
from protocols.payments.postings import Account, Hold
from protocols.payments.refusals import (
    EscrowFrozen,
    EscrowNotFound,
    EscrowReleased,
    HoldExpired,
    HoldNotFound,
    InsufficientFunds,
    TransferDiffers,
)
from protocols.topics import personal_channel
from protocols.values import new_id, now_instant
from server.domains import DOMAINS
from storage.engines.postgres import open_database
from storage.payments.escrow import END_ESCROW, change_escrows
from storage.payments.posting_rules import available, held
from tests.support.domains import Market, open_market
from tests.support.money import (
    COMMISSION,
    assert_books_are_right,
    book,
    line,
    opening,
    step,
    top_up,
)

DAY_MS = 86_400_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_market(DOMAINS, database, redis) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def support(market):
    return replace(await market.new_user(), roles=frozenset({"user", "support"}))


async def balances(pool: asyncpg.Pool, *accounts: Account) -> list[int]:
    rows = await pool.fetch(
        "SELECT owner_id, currency, purpose, balance_minor FROM accounts WHERE stripe = 0"
    )
    known = {Account(r["owner_id"], r["currency"], r["purpose"]): r["balance_minor"] for r in rows}
    return [known.get(account, 0) for account in accounts]


async def deal(market, *, payer=None, seller=None, **fields):
    """An escrow of 1,000 between two people, 100 of it the market's."""
    payer, seller = payer or new_id(), seller or new_id()
    await book(market.database, [top_up(payer, 1_000)])
    opened = opening(payer, line("seller", 900, seller), line("commission", 100), **fields)
    (answer,) = await step(market.database, opened)
    assert not isinstance(answer, Refusal)
    return opened, seller


def ask(kind, opened, **fields):
    return kind(step_id=new_id(), escrow_id=opened.escrow_id, **fields)


async def test_a_freeze_is_seen_by_every_release_after_it_on_every_process(market, database, pool):
    """Of 500 releases over two pools, those before the freeze are booked and those after it refused."""
    payer, seller = new_id(), new_id()
    await book(market.database, [top_up(payer, 500)])
    opened = opening(payer, line("seller", 500, seller))
    await step(market.database, opened)
    other = await open_database(database)
    freeze = ask(FreezeEscrow, opened)
    one = (EscrowPart(line=0, amount=1),)
    releases = [ask(ReleaseEscrow, opened, parts=one) for _ in range(500)]
    started, answers = asyncio.Event(), []

    async def release(database, mine):
        for each in mine:
            answers.extend(await step(database, each))
            if len(answers) >= 60:
                started.set()

    async def freeze_in_the_middle():
        await started.wait()
        return await step(other, freeze)

    queues = [release((market.database, other)[place % 2], releases[place::10]) for place in range(10)]
    *_, (frozen,) = await asyncio.gather(*queues, freeze_in_the_middle())
    await other.close()
    booked = [answer for answer in answers if not isinstance(answer, Refusal)]
    assert {type(answer) for answer in answers if isinstance(answer, Refusal)} == {EscrowFrozen}
    assert len(answers) == 500
    assert 60 <= len(booked) < 500
    assert max(answer.escrow.row.version for answer in booked) < frozen.escrow.row.version
    assert frozen.escrow.row.left_minor == 500 - len(booked)
    assert await balances(pool, available(seller, "EUR")) == [len(booked)]
    await assert_books_are_right(pool)


async def test_two_releases_of_everything_at_once_pay_once(market, pool):
    """Two equal requests at once must not both win, and nobody is paid or refunded twice."""
    for _ in range(5):
        opened, seller = await deal(market)
        asked = [ask(ReleaseEscrow, opened) for _ in range(4)] + [ask(RefundEscrow, opened) for _ in range(4)]
        answers = [
            answer for (answer,) in await asyncio.gather(*(step(market.database, one) for one in asked))
        ]
        assert [type(answer) for answer in answers if isinstance(answer, Refusal)] == [EscrowReleased] * 7
        seller_has, payer_has = await balances(
            pool, available(seller, "EUR"), available(opened.payer_id, "EUR")
        )
        assert (seller_has, payer_has) in {(900, 0), (0, 1_000)}
    await assert_books_are_right(pool)


async def test_one_wallet_opens_as_many_escrows_as_it_has_money_for(market, pool):
    """The check of the balance and the taking of it are one: one wallet cannot stand for many deals."""
    payer, seller = new_id(), new_id()
    await book(market.database, [top_up(payer, 1_000)])
    openings = [opening(payer, line("seller", 300, seller)) for _ in range(8)]
    answers = [answer for (answer,) in await asyncio.gather(*(step(market.database, o) for o in openings))]
    assert [type(a) for a in answers if isinstance(a, Refusal)] == [InsufficientFunds] * 5
    assert await pool.fetchval("SELECT count(*) FROM escrows WHERE payer_id = $1", payer) == 3
    await assert_books_are_right(pool)


class KilledError(Exception):
    """What ends a transaction before its commit."""


async def take_and_die(database, one):
    async with database.transaction() as db:
        (answer,) = await change_escrows(db, [one], now_instant())
        assert not isinstance(answer, Refusal)
        raise KilledError


async def test_every_step_repeated_from_every_stored_state_changes_nothing(market, pool):
    """Killed before the commit nothing happened; killed after it, the repeat finds the step, also steps later."""
    payer, seller = new_id(), new_id()
    await book(market.database, [top_up(payer, 1_000)])
    opened = opening(payer, line("seller", 900, seller), line("commission", 100))
    steps = [
        opened,
        ask(ReleaseEscrow, opened, parts=(EscrowPart(line=0, amount=400),)),
        ask(FreezeEscrow, opened),
        ask(UnfreezeEscrow, opened),
        ask(RefundEscrow, opened, parts=(EscrowPart(line=0, amount=100),)),
        ask(FreezeEscrow, opened),
        ask(ResolveEscrow, opened, released=(EscrowPart(line=0, amount=300),)),
    ]
    moved = [1_000, 400, 0, 0, 100, 0, 500]
    for count, next_step in enumerate(steps, start=1):
        with pytest.raises(KilledError):
            await take_and_die(market.database, next_step)
        answers = await step(market.database, *steps[:count], *steps[:count])
        assert [answer.repeated for answer in answers] == [True] * (count - 1) + [False] + [True] * count
        assert [answer.amount_minor for answer in answers] == moved[:count] * 2
        assert answers[-1].escrow.row.version == count
    accounts = (available(seller, "EUR"), available(payer, "EUR"), Account(opened.escrow_id, "EUR", "escrow"))
    assert await balances(pool, *accounts) == [700, 300, 0]
    await assert_books_are_right(pool)


async def test_an_id_that_means_something_else_is_refused(market):
    opened, _ = await deal(market)
    first = ask(ReleaseEscrow, opened, parts=(EscrowPart(line=0, amount=1),))
    other = replace_struct(first, parts=(EscrowPart(line=0, amount=2),))
    dearer = replace_struct(opened, lines=(line("seller", 901, new_id()),))
    answers = await step(market.database, first, other, dearer)
    assert [type(answer) for answer in answers[1:]] == [TransferDiffers] * 2
    later = replace_struct(opened, ends_at_ms=opened.ends_at_ms + 1)
    assert (await step(market.database, later))[0].repeated


async def test_two_who_open_one_deal_at_once_open_it_once(market, pool):
    payer = new_id()
    await book(market.database, [top_up(payer, 1_000)])
    opened = opening(payer, line("seller", 300, new_id()))
    answers = await asyncio.gather(*(step(market.database, opened) for _ in range(6)))
    assert sorted(answer.repeated for (answer,) in answers) == [False] + [True] * 5
    assert await balances(pool, available(payer, "EUR")) == [700]


async def test_an_escrow_is_opened_from_a_hold_whose_rest_returns(market, pool):
    payer, hold_id, soon = new_id(), new_id(), now_instant() + 60_000
    hold = Hold(
        hold_id=hold_id, owner_id=payer, currency="EUR", amount_minor=800, ref=new_id(), expires_at_ms=soon
    )
    await book(market.database, [top_up(payer, 1_000)], [hold])
    opened = opening(payer, line("seller", 500, new_id()), hold_id=hold_id)
    (late,) = await step(market.database, opened, now_ms=soon)
    assert isinstance(late, HoldExpired)
    assert not isinstance((await step(market.database, opened))[0], Refusal)
    assert await balances(pool, available(payer, "EUR"), held(payer, "EUR")) == [500, 0]
    await assert_books_are_right(pool)


async def test_nobody_opens_an_escrow_from_a_hold_of_somebody_else_or_of_another_currency(market, pool):
    owner, hold_id, soon = new_id(), new_id(), now_instant() + 60_000
    hold = Hold(
        hold_id=hold_id, owner_id=owner, currency="EUR", amount_minor=800, ref=new_id(), expires_at_ms=soon
    )
    await book(market.database, [top_up(owner, 1_000)], [hold])
    terms = {"hold_id": hold_id, "lines": (line("seller", 500, new_id()),)}
    answers = await step(
        market.database,
        replace_struct(opening(new_id()), **terms),
        replace_struct(opening(owner, currency="USD"), **terms),
        replace_struct(opening(owner), **(terms | {"hold_id": new_id()})),
    )
    assert [type(answer) for answer in answers] == [HoldNotFound] * 3
    assert await balances(pool, available(owner, "EUR"), held(owner, "EUR")) == [200, 800]


async def test_what_is_refused_in_a_batch_leaves_the_others_alone(market, pool):
    opened, seller = await deal(market)
    poor = opening(new_id(), line("seller", 1, seller))
    answers = await step(
        market.database, poor, ask(ReleaseEscrow, poor), ask(ReleaseEscrow, opened), ask(RefundEscrow, opened)
    )
    assert [type(answer) for answer in answers if isinstance(answer, Refusal)] == [
        InsufficientFunds,
        EscrowNotFound,
        EscrowReleased,
    ]
    assert await balances(pool, available(seller, "EUR")) == [900]
    assert await pool.fetchval("SELECT count(*) FROM escrows WHERE escrow_id = $1", poor.escrow_id) == 0


async def test_nobody_changes_a_step_and_the_table_keeps_an_escrow_consistent(market, pool):
    opened, _ = await deal(market)
    with pytest.raises(asyncpg.RaiseError, match="never changed"):
        await pool.execute("UPDATE escrow_steps SET amount_minor = 1")
    for wrong in ("status = 'released'", "released_minor = 1000", "refunded_minor = 1001", "status = 'gone'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(f"UPDATE escrows SET {wrong} WHERE escrow_id = $1", opened.escrow_id)  # noqa: S608


async def test_every_party_is_proven_what_enters_and_what_leaves_an_escrow(market, pool):
    payer, traveller = new_id(), new_id()
    opened, seller = await deal(market, payer=payer, seller=new_id())
    await step(market.database, ask(ReleaseEscrow, opened))
    shared = opening(payer, line("seller", 400, seller), line("traveller", 100, traveller))
    await book(market.database, [top_up(payer, 500)])
    await step(market.database, shared)
    await step(market.database, ask(RefundEscrow, shared))
    queued = await pool.fetch(
        "SELECT leaf, parties FROM ledger_queue WHERE $1 = ANY (parties) ORDER BY queue_id", payer
    )
    reasons = [re.search(rb"reason (\S+)", row["leaf"])[1].decode() for row in queued]
    assert reasons == ["top_up", "sale", "sale", "commission", "top_up", "sale", "refund"]
    two, three = {payer, seller}, {payer, seller, traveller}
    parties = [set(row["parties"]) for row in queued]
    assert parties == [{payer}, two, two, two, {payer}, three, three]
    assert all(len(row["parties"]) == len(set(row["parties"])) for row in queued)


# -- routes, and the timer end_escrows ------------------------------------------------------------------------


async def test_the_payer_releases_parts_and_every_party_is_told(market, pool):
    ann, bob = await market.new_user(), await market.new_user()
    opened, _ = await deal(market, payer=ann.id, seller=bob.id)
    escrow_id, key = str(opened.escrow_id), str(new_id())
    fields = {"escrow_id": escrow_id, "parts": [{"line": 0, "amount": 400}], "key": key}
    first = await market.call("payments.release_escrow", ann, **fields)
    assert await market.call("payments.release_escrow", ann, **fields) == first
    assert (first["status"], first["released"], first["left"]) == ("open", 400, 600)
    view = await market.call("payments.release_escrow", ann, escrow_id=escrow_id, key=str(new_id()))
    assert (view["status"], view["released"], view["left"]) == ("released", 1_000, 0)
    assert await market.call("payments.get_escrow", bob, escrow_id=escrow_id) == view
    for person in (ann, bob):
        told = await market.events(personal_channel(person.id))
        assert [(e["type"], e["moved"], e["left"]) for e in told] == [
            ("escrow_released", 400, 600),
            ("escrow_released", 600, 0),
        ]
    assert not await pool.fetchval("SELECT count(*) FROM timers WHERE ref = $1", opened.escrow_id)
    facts = await pool.fetch("SELECT data FROM events WHERE stream LIKE $1", f"%escrows:{escrow_id}")
    assert len(facts) == 2
    entries = await market.call("payments.list_entries", bob, currency="EUR")
    assert [(e["reason"], e["amount"], e["ref"]) for e in entries["items"]] == [
        ("sale", 500, escrow_id),
        ("sale", 400, escrow_id),
    ]


async def test_only_parties_see_an_escrow_and_only_the_payer_releases_it(market, support):
    ann, bob, eve = [await market.new_user() for _ in range(3)]
    opened, _ = await deal(market, payer=ann.id, seller=bob.id)
    fields = {"escrow_id": str(opened.escrow_id)}
    for caller in (ann, bob, support):
        view = await market.call("payments.get_escrow", caller, **fields)
        assert [(n["role"], n["user_id"]) for n in view["lines"]] == [
            ("seller", str(bob.id)),
            ("commission", None),
        ]
    with pytest.raises(EscrowNotFound):
        await market.call("payments.get_escrow", eve, **fields)
    for caller, refusal in ((eve, EscrowNotFound), (support, EscrowNotFound), (bob, NotAllowed)):
        with pytest.raises(refusal):
            await market.call("payments.release_escrow", caller, key=str(new_id()), **fields)
    with pytest.raises(EscrowNotFound):
        await market.call("payments.get_escrow", ann, escrow_id=str(new_id()))
    for name in ("freeze_escrow", "unfreeze_escrow"):
        with pytest.raises(NotAllowed):
            await market.call(f"payments.{name}", ann, key=str(new_id()), **fields)
    with pytest.raises(NotAllowed):
        await market.call("payments.resolve_escrow", ann, key=str(new_id()), released=[], **fields)


async def test_whom_all_of_it_is_for_gives_it_back(market, pool):
    ann, bob, eve = [await market.new_user() for _ in range(3)]
    opened, _ = await deal(market, payer=ann.id, seller=bob.id)
    fields = {"escrow_id": str(opened.escrow_id)}
    for caller, refusal in ((ann, NotAllowed), (eve, EscrowNotFound)):
        with pytest.raises(refusal):
            await market.call("payments.refund_escrow", caller, key=str(new_id()), **fields)
    view = await market.call("payments.refund_escrow", bob, key=str(new_id()), **fields)
    assert (view["status"], view["refunded"]) == ("refunded", 1_000)
    assert await balances(pool, available(ann.id, "EUR")) == [1_000]
    await book(market.database, [top_up(ann.id, 100)])
    shared = opening(ann.id, line("seller", 50, bob.id), line("traveller", 50, eve.id))
    await step(market.database, shared)
    with pytest.raises(NotAllowed):
        await market.call("payments.refund_escrow", bob, escrow_id=str(shared.escrow_id), key=str(new_id()))


async def test_own_escrows_come_page_by_page_newest_first(market):
    ann, bob = await market.new_user(), await market.new_user()
    made = [(await deal(market, payer=ann.id, seller=bob.id))[0].escrow_id for _ in range(3)]
    for person in (ann, bob):
        first = await market.call("payments.list_escrows", person, limit=2)
        last = await market.call("payments.list_escrows", person, limit=2, cursor=first["next_cursor"])
        assert [e["id"] for e in (*first["items"], *last["items"])] == [str(i) for i in reversed(made)]
        assert last["next_cursor"] is None
    with pytest.raises(InvalidInput):
        await market.call("payments.list_escrows", ann, cursor="!")


async def test_support_freezes_and_splits_a_dispute(market, support, pool):
    ann, bob = await market.new_user(), await market.new_user()
    opened, _ = await deal(market, payer=ann.id, seller=bob.id)

    async def call(name, caller=support, **fields):
        fields |= {"escrow_id": str(opened.escrow_id), "key": str(new_id())}
        return await market.call(f"payments.{name}", caller, **fields)

    before = await balances(pool, COMMISSION)
    assert (await call("freeze_escrow"))["frozen_at"] is not None
    due = await pool.fetchval("SELECT due_at_ms FROM timers WHERE ref = $1", opened.escrow_id)
    assert due > now_instant() + 89 * DAY_MS
    with pytest.raises(EscrowFrozen):
        await call("release_escrow", ann)
    assert (await call("unfreeze_escrow"))["status"] == "open"
    await call("freeze_escrow")
    view = await call("resolve_escrow", released=[{"line": 0, "amount": 450}])
    assert (view["status"], view["released"], view["refunded"]) == ("split", 450, 550)
    assert await balances(pool, available(bob.id, "EUR"), available(ann.id, "EUR")) == [450, 550]
    assert await balances(pool, COMMISSION) == before
    told = [e["type"] for e in await market.events(personal_channel(bob.id))]
    assert told == ["escrow_frozen", "escrow_unfrozen", "escrow_frozen", "escrow_resolved"]


async def ring(market, pool, opened, *, days_ago=0):
    """Let the timer of an escrow that was opened days ago ring, twice."""
    await pool.execute(
        "UPDATE escrows SET opened_at_ms = opened_at_ms - $2, ends_at_ms = ends_at_ms - $2 WHERE escrow_id = $1",
        opened.escrow_id,
        days_ago * DAY_MS,
    )
    for _ in range(2):
        await pool.execute(
            "INSERT INTO timers (kind, ref, due_at_ms) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
            END_ESCROW,
            opened.escrow_id,
        )
        await market.run_due_timers(END_ESCROW)


async def test_what_is_left_at_the_end_returns_to_who_paid(market, pool):
    ann, bob = await market.new_user(), await market.new_user()
    opened, _ = await deal(market, payer=ann.id, seller=bob.id)
    part = (EscrowPart(line=0, amount=400),)
    await step(market.database, ask(ReleaseEscrow, opened, parts=part))
    await ring(market, pool, opened)
    assert await balances(pool, available(ann.id, "EUR")) == [0]
    due = await pool.fetchval(
        "SELECT max(due_at_ms) FROM timers WHERE kind = $1 AND ref = $2", END_ESCROW, opened.escrow_id
    )
    assert due == opened.ends_at_ms
    await ring(market, pool, opened, days_ago=2)
    assert await balances(pool, available(ann.id, "EUR"), available(bob.id, "EUR")) == [600, 400]
    assert [e["type"] for e in await market.events(personal_channel(ann.id))] == ["escrow_refunded"]


async def test_a_frozen_escrow_outlives_its_end_but_not_ninety_days(market, pool):
    ann = await market.new_user()
    opened, _ = await deal(market, payer=ann.id)
    await step(market.database, ask(FreezeEscrow, opened))
    await ring(market, pool, opened, days_ago=60)
    assert await balances(pool, available(ann.id, "EUR")) == [0]
    await ring(market, pool, opened, days_ago=31)
    assert await balances(pool, available(ann.id, "EUR")) == [1_000]
    assert [e["type"] for e in await market.events(personal_channel(ann.id))] == ["escrow_resolved"]
    await assert_books_are_right(pool)
