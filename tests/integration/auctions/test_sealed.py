"""Sealed auctions through the pipeline: nobody reads an amount before the close, everybody can check it after."""

import asyncio
import hashlib
import random

import asyncpg
import msgspec
import pytest

from handlers.auctions.closing.close_auction import UNREADABLE_WAIT_MS
from handlers.auctions.formats.sealed_rules import OPENINGS_CHUNK
from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.contract import Caller
from protocols.auctions.audits import commitment_of
from protocols.auctions.commands import BidReceipt, PlaceBid
from protocols.auctions.refusals import (
    AuctionNotLive,
    BidNotRetractable,
    BidTooLow,
    BuyNowUnavailable,
    OwnAuction,
)
from protocols.auctions.terms import SoftClose
from protocols.errors import InvalidInput, KeyReused, Refusal
from protocols.values import new_id, now_instant, to_json
from storage.auctions.lookups import read_auction_facts, read_ticker
from storage.platform.vault import Vault, VaultError
from tests.integration.auctions.conftest import BY_VERB, HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.unit.handlers.auctions.format_oracles import SealedOracle

FORMATS = ("sealed_first_price", "sealed_second_price")


async def close(market, *auctions):
    ends = [(await market.row(auction))["ends_at_ms"] for auction in auctions]
    market.clock_ms = max(ends) + CLOSE_GRACE_MS
    await market.run_timers()


def numbers_in(value: object) -> set[float]:
    """Every number in a JSON value; the digits of ids and nonces, which hold any, are none."""
    if isinstance(value, dict):
        return numbers_in(list(value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(numbers_in, value))
    return {value} if isinstance(value, int | float) else set()


async def everything_stored(pool: asyncpg.Pool) -> str:
    """Every row of every table, as text."""
    tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    texts = []
    for (table,) in tables:
        texts += [row[0] for row in await pool.fetch(f'SELECT t::text FROM "{table}" AS t')]  # noqa: S608
    return "\n".join(texts)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"dutch": {"floor_price": 1, "step": 1, "tick_s": 1}}, "/dutch"),
        ({"buy_now_price": 20_00}, "/buy_now_price"),
        ({"soft_close": SoftClose()}, "/soft_close"),
        ({"increments": [(None, 5)]}, "/increments"),
    ],
)
async def test_terms_a_sealed_auction_cannot_have_are_refused(market, seller, name, terms, pointer):
    (listing,) = await market.new_listings(seller, 1)
    with pytest.raises(InvalidInput) as refused:
        await market.open(seller, listing, format=name, **terms)
    assert [error["pointer"] for error in refused.value.facts["errors"]] == [pointer]


@pytest.mark.parametrize("name", FORMATS)
async def test_no_amount_can_be_read_anywhere_before_the_close(
    market, seller, ann, bob, caplog, capsys, name
):
    auction = await market.new_auction(seller, format=name, reserve_price=20_00)
    secrets = {ann: 76_543_211, bob: 98_765_433}
    receipts = {who: await market.bid_now(auction, who, amount) for who, amount in secrets.items()}
    admin = Caller(user_id=new_id(), roles=frozenset({"user", "admin", "support"}))
    shown = [await everything_stored(market.pool), str(market.published), caplog.text, *capsys.readouterr()]
    for caller in (admin, seller, ann, bob, Caller()):
        for verb in ("get_auction", "list_bids", "get_audit"):
            shown += [repr(await market.call(verb, caller, auction_id=auction))]
        shown.append(repr(await market.call("list_auctions", caller)))
    async with market.pool.acquire() as db:
        shown += [repr(await read_ticker(db, auction)), repr(await read_auction_facts(db, auction))]
    for who, amount in secrets.items():
        nonce = receipts[who].nonce
        assert len(nonce) == 64
        for text in shown:
            for form in (str(amount), amount.to_bytes(8, "big").hex(), nonce, repr(bytes.fromhex(nonce))):
                assert form not in text
            assert nonce.encode().hex() not in text, "nor the receipt that is kept under its key"
    assert receipts[ann].commitment in shown[0], "the search looks at the right place"
    ticker = market.tickers(auction)[-1][1]
    assert (ticker["price"], ticker["leader"], ticker["bid_count"]) == (10_00, None, 2)
    assert ticker["reserve_met"] is False


async def test_the_kept_fingerprint_of_a_bid_does_not_let_amounts_be_tried_out(market, seller, ann):
    auction = await market.new_auction(seller, format=FORMATS[0])
    await market.bid(auction, ann, 44_00, "the-key")
    kept = await market.pool.fetchval("SELECT fingerprint FROM idempotency WHERE user_id = $1", ann.id)
    command = to_json(PlaceBid(auction_id=auction, amount=44_00, key="the-key"))
    text = BY_VERB["place_bid"].name.encode() + b"\n" + command
    assert kept != hashlib.blake2b(text, digest_size=16).digest()


async def test_a_receipt_is_sealed_and_its_repeat_the_same_with_the_nonce(market, seller, ann):
    auction = await market.new_auction(seller, format=FORMATS[0])
    first = await market.bid(auction, ann, 44_00, "one")
    receipt = msgspec.json.decode(first.body, type=BidReceipt)
    assert (receipt.outcome, receipt.price, receipt.minimum_bid, receipt.offset) == (
        "sealed",
        10_00,
        10_00,
        2,
    )
    again = await market.bid(auction, ann, 44_00, "one")
    assert (again.body, again.replayed) == (first.body, True)
    with pytest.raises(KeyReused):
        await market.bid(auction, ann, 45_00, "one")
    _, placed = await market.auction_events(auction)
    assert placed["commitment"] == receipt.commitment
    assert receipt.commitment == commitment_of(auction, placed["bidder"], 44_00, receipt.nonce)
    assert (placed["price"], placed["leader"], placed["bid_count"]) == (10_00, None, 1)


async def test_a_bidder_replaces_the_own_bid_and_the_latest_counts(market, seller, ann, bob):
    auction = await market.new_auction(seller, format=FORMATS[0])
    await market.bid_now(auction, ann, 99_00)
    await market.bid_now(auction, bob, 50_00)
    replaced = await market.bid_now(auction, ann, 50_00)
    with pytest.raises(BidNotRetractable):
        await market.call("retract_bid", ann, auction_id=auction, bid_id=replaced.bid_id)
    with pytest.raises(BidTooLow) as refused:
        await market.bid_now(auction, ann, 9_99)
    assert refused.value.facts == {"minimum_bid": 10_00}
    with pytest.raises(OwnAuction):
        await market.bid_now(auction, seller, 99_00)
    with pytest.raises(BuyNowUnavailable):
        await market.call("buy_now", ann, auction_id=auction, key="k")
    bids = (await market.call("list_bids", auction_id=auction)).items
    assert [(bid.offset, bid.price, bid.retracted) for bid in bids] == [
        (4, 10_00, False),
        (3, 10_00, False),
        (2, 10_00, True),
    ]
    await close(market, auction)
    *_, opened, closed = await market.auction_events(auction)
    assert [(one["offset"], one["amount"]) for one in opened["openings"]] == [(3, 50_00), (4, 50_00)]
    row = await market.row(auction)
    assert (row["leader_id"], row["price"]) == (bob.id, 50_00), "equal bids: the earlier commitment wins"
    assert (closed["winner"], closed["bid_count"]) == (row["leader_mask"], 2)
    told = numbers_in(await market.auction_events(auction))
    assert 50_00 in told
    assert 99_00 not in told, "a replaced bid is never opened"
    assert [event["type"] for event in await market.personal_events(bob)] == ["auction_won"]
    assert [event["type"] for event in await market.personal_events(ann)] == ["auction_lost"]
    page = await market.call("list_bids", auction_id=auction, limit=2)
    assert [bid.price for bid in page.items] == [50_00, 50_00]
    rest = await market.call("list_bids", auction_id=auction, limit=2, cursor=page.next_cursor)
    assert [(bid.offset, bid.price) for bid in rest.items] == [(2, 10_00)]
    with pytest.raises(AuctionNotLive):
        await market.bid_now(auction, ann, 99_00)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


@pytest.mark.parametrize(
    ("name", "reserve", "amounts", "result"),
    [
        (FORMATS[0], None, [50_00, 80_00, 60_00], ("sold", 80_00)),
        (FORMATS[1], None, [50_00, 80_00, 60_00], ("sold", 60_00)),
        (FORMATS[1], 70_00, [50_00, 80_00, 60_00], ("sold", 70_00)),
        (FORMATS[1], 70_00, [80_00], ("sold", 70_00)),
        (FORMATS[1], None, [80_00], ("sold", 10_00)),
        (FORMATS[0], 70_00, [69_99], ("unsold", 10_00)),
        (FORMATS[1], 70_00, [69_99, 20_00], ("unsold", 10_00)),
        (FORMATS[1], None, [], ("unsold", 10_00)),
    ],
)
async def test_results_of_both_formats(market, seller, name, reserve, amounts, result):
    auction = await market.new_auction(seller, format=name, reserve_price=reserve)
    for amount in amounts:
        await market.bid_now(auction, new_caller(), amount)
    await close(market, auction)
    events = await market.auction_events(auction)
    assert (events[-1]["outcome"], events[-1]["price"]) == result
    assert [event["type"] for event in events].count("bids_opened") == bool(amounts)
    if amounts:
        assert events[-2]["reserve_price"] == reserve
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_crowd_is_opened_in_chunks(market, seller):
    auction = await market.new_auction(seller, format=FORMATS[1])
    count = 2 * OPENINGS_CHUNK + 7
    futures = [market.bid(auction, new_caller(), 20_00 + place) for place in range(count)]
    for future in futures:
        await future
    await close(market, auction)
    opened = [e for e in await market.auction_events(auction) if e["type"] == "bids_opened"]
    assert [len(event["openings"]) for event in opened] == [OPENINGS_CHUNK, OPENINGS_CHUNK, 7]
    assert [event["remaining"] for event in opened] == [OPENINGS_CHUNK + 7, 7, 0]
    lost = await market.pool.fetchval(
        "SELECT count(*) FROM events WHERE type = 'auction_lost' AND data ->> 'auction_id' = $1", str(auction)
    )
    assert lost == count - 1
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_cancelled_auction_never_opens_its_bids(market, seller, ann):
    auction = await market.new_auction(seller, format=FORMATS[0])
    await market.bid_now(auction, ann, 33_33)
    await market.call("cancel_auction", seller, auction_id=auction)
    assert [e["type"] for e in await market.auction_events(auction)][-1] == "auction_closed"
    await close(market, auction)
    assert (
        await market.pool.fetchval("SELECT count(amount) FROM sealed_bids WHERE auction_id = $1", auction)
        == 0
    )
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_bids_without_their_master_key_stay_closed_and_the_auction_open(market, seller, ann, tmp_path):
    auction = await market.new_auction(seller, format=FORMATS[0])
    await market.bid_now(auction, ann, 33_33)
    key = await market.pool.fetchval("SELECT sealed_key FROM auctions WHERE auction_id = $1", auction)
    with pytest.raises(VaultError):
        Vault(tmp_path).decrypt(key, b"auction" + auction.bytes)
    assert (await market.row(auction))["status"] == "live"


async def test_a_row_that_was_changed_or_moved_does_not_open(market, seller, ann, bob):
    """Neither another's ciphertext nor a flipped bit passes for a bid."""
    market.clock_ms = now_instant()
    auction = await market.new_auction(seller, format=FORMATS[0], ends_at=moment(market.clock_ms + HOUR_MS))
    await market.bid_now(auction, ann, 33_33)
    await market.bid_now(auction, bob, 44_44)
    before = await market.pool.fetch("SELECT number, closed FROM sealed_bids WHERE auction_id = $1", auction)
    await market.pool.execute(
        "UPDATE sealed_bids SET closed = $2 WHERE auction_id = $1 AND number = 2",
        auction,
        before[1]["closed"],
    )
    other = await market.new_auction(seller, ends_at=moment(market.clock_ms + HOUR_MS))
    await close(market, auction)
    assert (await market.row(auction))["status"] == "live"
    assert (await market.row(other))["status"] == "unsold", "the others of the batch are closed"
    assert await market.timers_of(auction) == ["close_auction"]
    await market.pool.execute(
        "UPDATE sealed_bids SET closed = $2 WHERE auction_id = $1 AND number = 2",
        auction,
        before[0]["closed"],
    )
    market.clock_ms += UNREADABLE_WAIT_MS
    await market.run_timers()
    assert (await market.row(auction))["status"] == "sold"


async def test_random_sealed_auctions_agree_with_the_oracle_and_replay(market):
    dice = random.Random(9)
    seller, bidders = new_caller(), [new_caller() for _ in range(6)]
    auctions = {}
    for _ in range(60):
        name, reserve = dice.choice(FORMATS), dice.choice([None, 12_00])
        auction = await market.new_auction(seller, format=name, reserve_price=reserve)
        auctions[auction] = SealedOracle(10_00, reserve, name == FORMATS[1])
    for _ in range(4):
        moves = [(a, dice.choice(bidders), 9_90 + dice.randrange(0, 400, 20)) for a in auctions]
        futures = [market.bid(*move) for move in moves]
        for (auction, who, amount), future in zip(moves, futures, strict=True):
            (answer,) = await asyncio.gather(future, return_exceptions=True)
            told = answer.code if isinstance(answer, Refusal) else "sealed"
            assert auctions[auction].bid(str(who.id), amount) == told
    await close(market, *auctions)
    for auction, oracle in auctions.items():
        row = await market.row(auction)
        assert (row["leader_id"] and str(row["leader_id"]), row["price"]) == oracle.result()
    assert await assert_replays(market.pool, list(auctions)) == 60
    await assert_audited(market, list(auctions))
    assert await market.pool.fetchval("SELECT count(amount) FROM sealed_bids") > 60
