"""The tables of docs/money.md are what the rules and the books say, row by row."""

from pathlib import Path

import msgspec

from handlers.payments.exchange.rules import minor_rate, price_of, rate_of
from handlers.payments.exchange.terms import chain_of
from protocols.errors import Refusal
from protocols.payments.commission import CommissionRule, FeeTax
from protocols.payments.deals import Deal, DealLine, Quote
from protocols.payments.escrows import EscrowPart, FreezeEscrow, ReleaseEscrow, ResolveEscrow
from protocols.payments.postings import PLATFORM, Account, Hold, HoldPart, PostHold
from protocols.values import new_id, now_instant
from storage.engines.postgres import open_database
from storage.payments.commission_rules import quote_deal
from storage.payments.exchange_postgres import QuoteRow
from storage.payments.posting_rules import available, held
from tests.support.money import COMMISSION, EXTERNAL, book, line, opening, step, top_up, transfer

GUIDE = Path(__file__).parents[3] / "docs" / "money.md"


def section(title: str) -> str:
    return GUIDE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table(title: str, first: str) -> list[list[int]]:
    """The amounts of the table whose first row begins so, in minor units; an empty cell is nothing."""
    rows = section(title).partition(f"\n| {first}")
    lines = (rows[1] + rows[2]).strip().partition("\n\n")[0].splitlines()
    return [[minor(cell) for cell in line.strip("|").split("|")[1:]] for line in lines]


def minor(cell: str) -> int:
    return round(float(cell.strip() or 0) * 100)


async def balances(pool, columns, before=None) -> list[int]:
    """What the accounts have, of the market's what they have more than before."""
    rows = await pool.fetch(
        "SELECT owner_id, currency, purpose, sum(balance_minor)::bigint AS balance FROM accounts GROUP BY 1, 2, 3"
    )
    known = {Account(r["owner_id"], r["currency"], r["purpose"]): r["balance"] for r in rows}
    now = [known.get(account, 0) for account in columns]
    return now if before is None else [balance - old for balance, old in zip(now, before, strict=True)]


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
    assert seen == table("A sale, worked through", "top-up")
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
    assert seen == table("Exchange", "top-up")
    assert [(row[0] + row[1] + row[5], row[2] + row[3] + row[4]) for row in seen] == [(0, 0)] * 4


async def book_in_turn(database, pool, steps, columns) -> list[list[int]]:
    """Book chain after chain; return the balances of some accounts after each."""
    opened = await open_database(database)
    before = await balances(pool, columns)
    seen = []
    for chain in steps:
        assert await book(opened, chain) == [None]
        seen.append(await balances(pool, columns, before))
    await opened.close()
    return seen


class Rules(msgspec.Struct):
    rules: list[CommissionRule]
    taxes: list[FeeTax]


def quoted() -> Quote:
    """What the rules of the guide keep of its deal."""
    text = section("Commission").partition("```json\n")[2].partition("```")[0]
    rules = msgspec.json.decode(text, type=Rules)
    lines = (DealLine(amount_minor=10_000), DealLine(amount_minor=2_000, shipping=True))
    deal = Deal(kind="sale", currency="EUR", lines=lines, country="DE")
    return quote_deal(1, rules.rules, rules.taxes, deal)


def test_the_quote_of_the_guide_is_what_its_rules_say():
    seen = [
        [
            line.amount_minor,
            line.rule * 100,
            line.percent_minor,
            line.fixed_minor,
            line.fee_minor,
            line.tax_minor,
            line.amount_minor - line.fee_minor - line.tax_minor,
        ]
        for line in quoted().lines
    ]
    assert seen == table("Commission", "goods")


async def test_the_escrow_of_the_guide_is_what_the_books_say(database, pool):
    buyer, seller, traveller, hold_id = new_id(), new_id(), new_id(), new_id()
    deal, goods, way = new_id(), *quoted().lines
    hold = Hold(
        hold_id=hold_id,
        owner_id=buyer,
        currency="EUR",
        amount_minor=13_000,
        ref=deal,
        expires_at_ms=now_instant() + 60_000,
    )
    opened = opening(
        buyer,
        line("seller", goods.amount_minor - goods.fee_minor - goods.tax_minor, seller),
        line("traveller", way.amount_minor - way.fee_minor - way.tax_minor, traveller),
        line("commission", quoted().fee_minor),
        line("tax", quoted().tax_minor),
        escrow_id=deal,
        hold_id=hold_id,
    )
    halves = tuple(EscrowPart(line=at, amount=amount) for at, amount in ((0, 4_536), (2, 440), (3, 83)))
    to_traveller = (EscrowPart(line=1, amount=1_881),)
    tax = Account(COMMISSION.owner_id, "EUR", "tax")
    people = [available(owner, "EUR") for owner in (seller, traveller)]
    escrow = Account(deal, "EUR", "escrow")
    columns = [available(buyer, "EUR"), held(buyer, "EUR"), escrow, *people, COMMISSION, tax, EXTERNAL]
    books = await open_database(database)
    before, seen = await balances(pool, columns), []
    for chain in ([top_up(buyer, 15_000)], [hold]):
        assert await book(books, chain) == [None]
        seen.append(await balances(pool, columns, before))
    for one in (
        opened,
        ReleaseEscrow(step_id=new_id(), escrow_id=deal, parts=to_traveller),
        FreezeEscrow(step_id=new_id(), escrow_id=deal),
        ResolveEscrow(step_id=new_id(), escrow_id=deal, released=halves),
    ):
        (answer,) = await step(books, one)
        assert not isinstance(answer, Refusal)
        seen.append(await balances(pool, columns, before))
    await books.close()
    assert seen == table("Escrow", "top-up")
    assert {sum(row) for row in seen} == {0}
