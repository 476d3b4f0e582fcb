"""Deposits on real PostgreSQL: taken with the first bid, never twice, and returned or applied once."""

import asyncio
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from handlers.auctions.bidding.place_bid import place_bid
from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.contract import Call, Stores
from protocols.auctions.commands import PlaceBid
from protocols.auctions.deposits import DepositRequired
from protocols.auctions.refusals import AuctionNotLive, BidTooLow, OwnAuction
from protocols.errors import InvalidInput, Refusal
from protocols.payments.escrows import ReleaseEscrow
from protocols.payments.postings import EXPIRE_HOLD, PLATFORM
from protocols.payments.refusals import AccountFrozen, InsufficientFunds
from protocols.values import new_id, now_instant
from storage.engines.postgres import open_database
from storage.payments.accounts_postgres import freeze_account
from storage.payments.posting_rules import available
from tests.integration.auctions.conftest import BY_VERB
from tests.integration.auctions.replay import assert_replays
from tests.support.money import assert_books_are_right, book, step, top_up

DEPOSIT = 5_00


async def give(market, database_url, *people, amount=20_00):
    """Let money come into wallets."""
    opened = await open_database(database_url)
    await book(opened, *([top_up(person.id, amount)] for person in people))
    await opened.close()


async def wallet(market, person):
    """What a person may spend, and what is held of it."""
    rows = await market.pool.fetch(
        "SELECT purpose, balance_minor FROM accounts WHERE owner_id = $1 AND currency = 'EUR'", person.id
    )
    balances = {row["purpose"]: row["balance_minor"] for row in rows}
    return balances.get("available", 0), balances.get("held", 0)


def bid(market, auction_id, person, amount, **fields):
    fields = {"deposit": DEPOSIT} | fields
    command = PlaceBid(auction_id=auction_id, amount=amount, key=str(new_id()), **fields)
    return asyncio.get_running_loop().create_task(market.pipeline.run(BY_VERB["place_bid"], command, person))


async def end(market, auction_id):
    """Let the auction end, and everything that follows happen."""
    row = await market.row(auction_id)
    market.clock_ms = row["ends_at_ms"] + CLOSE_GRACE_MS
    await market.run_timers()
    await market.run_timers()


async def told(market, person):
    rows = await market.pool.fetch(
        "SELECT data FROM events WHERE stream = $1 ORDER BY number", f"personal:#{person.id}"
    )
    events = [msgspec.json.decode(row["data"]) for row in rows]
    return [event["type"] for event in events if event["type"].startswith(("deposit", "escrow"))]


async def test_the_first_bid_takes_the_deposit_and_later_ones_do_not(market, seller, ann, bob, database):
    await give(market, database, ann, bob)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    assert (await market.call("get_auction", auction_id=auction)).deposit == DEPOSIT
    assert (await market.auction_events(auction))[0]["deposit"] == DEPOSIT
    await bid(market, auction, ann, 20_00)
    await bid(market, auction, bob, 30_00)
    await bid(market, auction, ann, 40_00, deposit=None)
    assert await wallet(market, ann) == await wallet(market, bob) == (15_00, 5_00)
    assert await told(market, ann) == ["deposit_taken"]
    due = await market.pool.fetch("SELECT ref, due_at_ms FROM timers WHERE kind = $1", EXPIRE_HOLD)
    holds = await market.pool.fetch("SELECT hold_id, expires_at_ms FROM holds WHERE ref = $1", auction)
    assert {tuple(row) for row in holds} <= {tuple(row) for row in due}
    await assert_replays(market.pool, [auction])
    await assert_books_are_right(market.pool)


async def test_without_agreement_or_money_a_bid_is_refused_and_moves_neither_price_nor_money(
    market, seller, ann, bob, database
):
    """A payment that fails must not raise the price."""
    await give(market, database, ann, amount=4_99)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    before = await market.row(auction)
    for deposit in (None, DEPOSIT - 1, DEPOSIT + 1):
        with pytest.raises(DepositRequired) as refused:
            await bid(market, auction, ann, 20_00, deposit=deposit)
        assert refused.value.facts == {"deposit": DEPOSIT, "currency": "EUR"}
    with pytest.raises(InsufficientFunds) as poor:
        await bid(market, auction, ann, 20_00)
    assert poor.value.facts == {"available": 4_99, "currency": "EUR"}
    with pytest.raises(InsufficientFunds) as empty:
        await bid(market, auction, bob, 20_00)
    assert empty.value.facts == {"available": 0, "currency": "EUR"}
    assert dict(await market.row(auction)) == dict(before)
    assert await wallet(market, ann) == (4_99, 0)
    assert await market.pool.fetchval("SELECT count(*) FROM accounts WHERE owner_id = $1", bob.id) == 0
    assert await told(market, ann) == []


async def test_a_frozen_wallet_gives_no_deposit(market, seller, ann, database):
    await give(market, database, ann)
    async with market.pool.acquire() as db:
        await freeze_account(db, available(ann.id, "EUR"), frozen=True)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    with pytest.raises(AccountFrozen):
        await bid(market, auction, ann, 20_00)


async def test_a_bid_that_is_refused_for_another_reason_takes_nothing(market, seller, ann, bob, database):
    await give(market, database, ann, bob, seller)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    await bid(market, auction, bob, 50_00)
    with pytest.raises(BidTooLow):
        await bid(market, auction, ann, 10_00)
    with pytest.raises(OwnAuction):
        await bid(market, auction, seller, 90_00, deposit=None)
    await end(market, auction)
    with pytest.raises(AuctionNotLive):
        await bid(market, auction, ann, 90_00, deposit=None)
    assert await wallet(market, ann) == (20_00, 0)


async def test_one_wallet_pays_as_many_deposits_as_it_has_money_for(
    market, second_market, seller, ann, database
):
    """In one batch and over two processes: the check and the taking are one."""
    await give(market, database, ann, amount=3 * DEPOSIT)
    auctions = [await market.new_auction(seller, deposit=DEPOSIT) for _ in range(8)]
    answers = await asyncio.gather(
        *(bid((market, second_market)[n % 2], each, ann, 20_00) for n, each in enumerate(auctions)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert [type(answer) for answer in refused] == [InsufficientFunds] * 5
    assert await wallet(market, ann) == (0, 3 * DEPOSIT)
    rows = [await market.row(each) for each in auctions]
    assert sorted(row["bid_count"] for row in rows) == [0] * 5 + [1] * 3
    await assert_books_are_right(market.pool)


async def test_two_first_bids_of_one_bidder_at_once_take_one_deposit(
    market, second_market, seller, ann, database
):
    await give(market, database, ann)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    bids = (bid((market, second_market)[n % 2], auction, ann, 20_00 + n * 1_00) for n in range(6))
    for answer in await asyncio.gather(*bids, return_exceptions=True):
        assert not isinstance(answer, Refusal) or isinstance(answer, BidTooLow)
    assert await wallet(market, ann) == (15_00, 5_00)


async def test_the_winners_deposit_waits_in_the_escrow_of_the_deal_and_the_others_return(
    market, seller, ann, bob, database
):
    await give(market, database, ann, bob)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    await bid(market, auction, ann, 30_00)
    await bid(market, auction, bob, 20_00)
    await end(market, auction)
    assert await wallet(market, ann) == (15_00, 0)
    assert await wallet(market, bob) == (20_00, 0)
    (escrow,) = await market.pool.fetch("SELECT * FROM escrows WHERE ref = $1", auction)
    assert (escrow["payer_id"], escrow["amount_minor"], escrow["status"]) == (ann.id, DEPOSIT, "open")
    assert await told(market, ann) == ["deposit_taken", "deposit_applied", "escrow_opened"]
    assert await told(market, bob) == ["deposit_taken", "deposit_returned"]
    assert await told(market, seller) == ["escrow_opened"]
    assert "end_escrow" in await market.timers_of(escrow["escrow_id"])
    assert await market.pool.fetchval(
        "SELECT count(*) FROM events WHERE stream LIKE '%escrows:' || $1", str(escrow["escrow_id"])
    )
    await assert_books_are_right(market.pool)


async def test_settled_twice_and_killed_between_it_moves_money_once(market, seller, ann, bob, database):
    """A settlement that is repeated from any stored state pays and refunds nobody twice."""
    await give(market, database, ann, bob)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    await bid(market, auction, ann, 30_00)
    await bid(market, auction, bob, 20_00)
    row = await market.row(auction)
    market.clock_ms = row["ends_at_ms"] + CLOSE_GRACE_MS
    for kind in ("close_auction", "notify_result", "settle_deposits", "settle_deposits", "return_deposits"):
        await market.run_timers_once(kind)
        await market.pool.execute(
            "INSERT INTO timers (kind, ref, due_at_ms) VALUES ('settle_deposits', $1, 0)", auction
        )
    await market.run_timers()
    assert (await wallet(market, ann), await wallet(market, bob)) == ((15_00, 0), (20_00, 0))
    assert await told(market, ann) == ["deposit_taken", "deposit_applied", "escrow_opened"]
    assert await told(market, bob) == ["deposit_taken", "deposit_returned"]
    await assert_books_are_right(market.pool)


async def test_a_deposit_is_not_touched_while_its_auction_goes_on(market, seller, ann, database):
    await give(market, database, ann)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    await bid(market, auction, ann, 30_00)
    await market.pool.execute(
        "INSERT INTO timers (kind, ref, due_at_ms) VALUES ('settle_deposits', $1, 0)", auction
    )
    await market.run_timers()
    assert await wallet(market, ann) == (15_00, 5_00)


async def test_a_cancelled_auction_returns_its_deposits_and_its_rerun_takes_new_ones(
    market, seller, ann, database
):
    await give(market, database, ann)
    (listing,) = await market.new_listings(seller, 1)
    for _ in range(2):
        auction = (await market.open(seller, listing, deposit=DEPOSIT)).id
        await bid(market, auction, ann, 30_00)
        assert await wallet(market, ann) == (15_00, 5_00)
        await market.call("cancel_auction", seller, auction_id=auction)
        await market.run_timers()
        await market.run_timers()
        assert await wallet(market, ann) == (20_00, 0)
    assert await told(market, ann) == ["deposit_taken", "deposit_returned"] * 2
    await assert_books_are_right(market.pool)


async def test_who_takes_all_bids_back_has_the_deposit_back_when_it_is_over(market, seller, ann, database):
    await give(market, database, ann)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    answer = await bid(market, auction, ann, 30_00)
    bid_id = msgspec.json.decode(answer.body)["bid_id"]
    await market.call("retract_bid", ann, auction_id=auction, bid_id=bid_id)
    assert await wallet(market, ann) == (15_00, 5_00)
    await end(market, auction)
    assert await wallet(market, ann) == (20_00, 0)


@pytest.mark.parametrize(
    ("terms", "quantity"),
    [
        ({"format": "dutch", "dutch": {"floor_price": 5_00, "step": 1_00, "tick_s": 60}}, 1),
        ({"format": "sealed_second_price"}, 1),
        ({"quantity": 2}, 2),
        ({"buy_now_price": 90_00}, 1),
    ],
    ids=["dutch", "sealed", "units", "buy_now"],
)
async def test_every_format_takes_and_applies_deposits(market, seller, ann, database, terms, quantity):
    await give(market, database, ann)
    if quantity > 1:
        (listing,) = await market.new_listings(seller, 1)
        await market.pool.execute("UPDATE listings SET quantity = 2 WHERE listing_id = $1", listing)
        auction = (await market.open(seller, listing, deposit=DEPOSIT, **terms)).id
    else:
        auction = await market.new_auction(seller, deposit=DEPOSIT, **terms)
    with pytest.raises(DepositRequired):
        await bid(market, auction, ann, 20_00, deposit=None, quantity=quantity)
    await bid(market, auction, ann, 20_00, quantity=quantity)
    if "buy_now_price" in terms:
        await market.call("buy_now", ann, auction_id=auction, key=str(new_id()))
    await end(market, auction)
    assert await wallet(market, ann) == (15_00, 0)
    assert await told(market, ann) == ["deposit_taken", "deposit_applied", "escrow_opened"]
    await assert_books_are_right(market.pool)


@pytest.mark.parametrize(
    "terms",
    [
        {"deposit": 10_01},
        {"format": "reverse", "deposit": 1},
        {
            "format": "dutch",
            "dutch": {"floor_price": 4_99, "step": 1_00, "tick_s": 60},
            "deposit": DEPOSIT,
        },
    ],
    ids=["above the price", "reverse", "above the floor"],
)
async def test_a_deposit_that_makes_no_sense_is_refused(market, seller, terms):
    with pytest.raises(InvalidInput) as refused:
        await market.new_auction(seller, **terms)
    assert [error["pointer"] for error in refused.value.facts["errors"]] == ["/deposit"]


async def test_many_deposits_return_chunk_by_chunk(market, seller, ann, bob, database, monkeypatch):
    monkeypatch.setattr("handlers.auctions.deposits.return_deposits.RETURNED_CHUNK", 1)
    await give(market, database, ann, bob)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    await bid(market, auction, ann, 20_00)
    await bid(market, auction, bob, 30_00)
    await market.call("cancel_auction", seller, auction_id=auction)
    await market.run_timers()
    await market.run_timers()
    assert (await wallet(market, ann), await wallet(market, bob)) == ((20_00, 0), (20_00, 0))


async def test_a_deposit_that_was_returned_before_the_settlement_lapses_and_both_sides_are_told(
    market, seller, ann, database
):
    await give(market, database, ann)
    auction = await market.new_auction(seller, deposit=DEPOSIT)
    await bid(market, auction, ann, 20_00)
    await market.pool.execute("UPDATE holds SET expires_at_ms = 1 WHERE ref = $1", auction)
    await end(market, auction)
    assert await told(market, ann) == ["deposit_taken", "deposit_lapsed"]
    assert await told(market, seller) == ["deposit_lapsed"]
    assert await market.pool.fetchval("SELECT count(*) FROM escrows WHERE ref = $1", auction) == 0


class Counted:
    """A connection that counts the round trips of what is done with it."""

    def __init__(self, db):
        self._db = db
        self.calls = []

    def __getattr__(self, name):
        found = getattr(self._db, name)
        if name not in {"fetch", "fetchrow", "fetchval", "execute", "executemany", "copy_records_to_table"}:
            return found

        def call(statement, *values, **fields):
            self.calls.append(statement)
            return found(statement, *values, **fields)

        return call


@asynccontextmanager
async def counted(market):
    async with market.pool.acquire() as db, db.transaction():
        yield Counted(db)


async def test_a_bid_without_a_deposit_asks_the_database_no_more_than_before(market, seller, ann, database):
    await give(market, database, ann)
    plain, asking = await market.new_auction(seller), await market.new_auction(seller, deposit=DEPOSIT)
    asked = {}
    for auction in (plain, asking):
        for nth in ("first", "second"):
            command = PlaceBid(auction_id=auction, amount=20_00 if nth == "first" else 30_00, deposit=DEPOSIT)
            async with counted(market) as db:
                answers = await place_bid(
                    [Call(command, ann, now_instant())], Stores(db, None, "epoch"), now_instant()
                )
            assert not isinstance(answers[0], Refusal)
            asked[auction, nth] = db.calls
    about_deposits = [text for text in asked[plain, "first"] if "deposit" in text.lower()]
    assert [text for text in about_deposits if "status <> 'scheduled' AS is_final" not in text] == []
    words = ("FOR UPDATE", "bids", "auction_watches", "UPDATE auctions")
    assert [word in text for word, text in zip(words, asked[plain, "second"], strict=True)] == [True] * 4
    assert len(asked[asking, "second"]) == 5, "whose deposits there are"
    assert len(asked[asking, "first"]) > 10
    assert await wallet(market, ann) == (15_00, 5_00)


def guide() -> list[list[int]]:
    """The table of the guide, in minor units."""
    text = (Path(__file__).parents[3] / "docs" / "money.md").read_text()
    rows = text.partition("\n## Deposits\n")[2].partition("\n| top-ups")
    lines = (rows[1] + rows[2]).strip().partition("\n\n")[0].splitlines()
    cells = [line.strip("|").split("|")[1:] for line in lines]
    return [[round(float(cell.strip() or 0) * 100) for cell in row] for row in cells]


async def test_the_deposits_of_the_guide_are_what_the_books_say(market, seller, ann, bob, database):
    await market.pool.execute(
        "INSERT INTO commission_versions VALUES (1, 0, $1, '[]', $2, 0)", '[{"basis_points": 1000}]', ann.id
    )
    opened = await open_database(database)
    start = (
        "SELECT coalesce(sum(balance_minor), 0)::bigint FROM accounts WHERE owner_id = $1 AND purpose = $2"
    )
    before = {
        purpose: await market.pool.fetchval(start, PLATFORM, purpose)
        for purpose in ("commission", "external")
    }

    async def row():
        escrow = "SELECT coalesce(sum(a.balance_minor), 0)::bigint FROM accounts AS a JOIN escrows AS e"
        in_escrow = await market.pool.fetchval(
            f"{escrow} ON a.owner_id = e.escrow_id WHERE e.payer_id = $1 AND a.purpose = 'escrow'", ann.id
        )
        markets = [
            await market.pool.fetchval(start, PLATFORM, purpose) - had for purpose, had in before.items()
        ]
        return [
            *await wallet(market, ann),
            *await wallet(market, bob),
            in_escrow,
            (await wallet(market, seller))[0],
            *markets,
        ]

    await give(market, database, ann, bob, amount=50_00)
    seen = [await row()]
    auction = await market.new_auction(seller, starting_price=20_00, deposit=20_00)
    for first, second in ((30_00, 40_00), (70_00, 60_00)):
        for person, amount in ((ann, first), (bob, second)):
            with suppress(BidTooLow):
                await bid(market, auction, person, amount, deposit=20_00)
        seen.append(await row())
    await end(market, auction)
    seen.append(await row())
    (escrow_id,) = await market.pool.fetchrow("SELECT escrow_id FROM escrows WHERE ref = $1", auction)
    (released,) = await step(opened, ReleaseEscrow(step_id=new_id(), escrow_id=escrow_id))
    await opened.close()
    assert released.escrow.row.commission_version == 1
    seen.append(await row())
    assert seen == guide()
    assert {sum(each) for each in seen} == {0}
    await assert_books_are_right(market.pool)
