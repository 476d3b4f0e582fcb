"""The tables of docs/money.md are what the books say after each of their steps."""

import re
from pathlib import Path

from handlers.payments.exchange.rules import minor_rate, price_of, rate_of
from handlers.payments.exchange.terms import chain_of
from protocols.payments.postings import PLATFORM, Account, Hold, HoldPart, PostHold
from protocols.values import new_id, now_instant
from storage.engines.postgres import open_database
from storage.payments.exchange_postgres import QuoteRow
from storage.payments.posting_rules import available, held
from tests.support.money import COMMISSION, EXTERNAL, book, top_up, transfer

GUIDE = Path(__file__).parents[3] / "docs" / "money.md"


def table(heading: str) -> list[list[int]]:
    """The amounts of a worked example, row by row, in minor units; an empty cell is nothing."""
    text = GUIDE.read_text().partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = [
        line.strip("|").split("|")[1:] for line in text.splitlines() if re.match(r"\| (?!step)[a-z]", line)
    ]
    return [[minor(cell) for cell in row] for row in rows]


def minor(cell: str) -> int:
    return round(float(cell.strip() or 0) * 100)


async def test_the_worked_example_is_what_the_books_say(database, pool):
    buyer, seller, deal, hold_id = new_id(), new_id(), new_id(), new_id()
    escrow = Account(deal, "EUR", "escrow")
    hold = Hold(
        hold_id=hold_id,
        owner_id=buyer,
        currency="EUR",
        amount_minor=6_000,
        ref=deal,
        expires_at_ms=now_instant() + 60_000,
    )
    part = HoldPart(transfer_id=new_id(), credit=escrow, amount_minor=5_500, reason="sale")
    steps = [
        [top_up(buyer, 10_000)],
        [hold],
        [PostHold(hold_id=hold_id, parts=(part,), return_id=new_id())],
        [
            transfer(escrow, available(seller, "EUR"), 5_000),
            transfer(escrow, COMMISSION, 500, "commission"),
        ],
    ]
    columns = [
        available(buyer, "EUR"),
        held(buyer, "EUR"),
        escrow,
        available(seller, "EUR"),
        COMMISSION,
        EXTERNAL,
    ]
    seen = await book_in_turn(database, pool, steps, columns)
    assert seen == table("A sale, worked through")
    assert [sum(row) for row in seen] == [0, 0, 0, 0]


async def test_the_worked_exchange_is_what_the_books_say(database, pool):
    ann = new_id()
    await pool.execute("TRUNCATE accounts")  # the other example's
    price = price_of(
        10_000, minor_rate(rate_of({"EUR": "1", "USD": "1.25"}, "EUR", "USD"), "EUR", "USD"), 100
    )
    quote = QuoteRow(
        quote_id=new_id(),
        owner_id=ann,
        sell_currency="EUR",
        sell_minor=10_000,
        buy_currency="USD",
        gross_minor=price.gross_minor,
        spread_minor=price.spread_minor,
        stock_floor_minor=0,
        created_at_ms=0,
        expires_at_ms=0,
        used=False,
        sold_id=new_id(),
        bought_id=new_id(),
        spread_id=new_id(),
    )
    columns = [
        available(ann, "EUR"),
        Account(PLATFORM, "EUR", "exchange"),
        available(ann, "USD"),
        Account(PLATFORM, "USD", "exchange"),
        Account(PLATFORM, "USD", "commission"),
        EXTERNAL,
    ]
    steps = [[top_up(ann, 20_000)], *([step] for step in chain_of(quote))]
    seen = await book_in_turn(database, pool, steps, columns)
    assert seen == table("Exchange")
    assert [(row[0] + row[1] + row[5], row[2] + row[3] + row[4]) for row in seen] == [(0, 0)] * 4


async def book_in_turn(database, pool, steps, columns) -> list[list[int]]:
    """Book chain after chain; return the balances of some accounts after each."""
    opened = await open_database(database)
    seen = []
    for chain in steps:
        assert await book(opened, chain) == [None]
        rows = await pool.fetch("SELECT owner_id, currency, purpose, balance_minor FROM accounts")
        balances = {Account(r["owner_id"], r["currency"], r["purpose"]): r["balance_minor"] for r in rows}
        seen.append([balances.get(account, 0) for account in columns])
    await opened.close()
    return seen
