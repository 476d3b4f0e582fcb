"""The table of docs/money.md is what the books say after each of its steps."""

import re
from pathlib import Path

from protocols.payments.postings import Account, Hold, HoldPart, PostHold
from protocols.values import new_id, now_instant
from storage.engines.postgres import open_database
from storage.payments.posting_rules import available, held
from tests.support.money import COMMISSION, EXTERNAL, book, top_up, transfer

GUIDE = Path(__file__).parents[3] / "docs" / "money.md"


def table() -> list[list[int]]:
    """The amounts of the worked example, row by row, in minor units; an empty cell is nothing."""
    text = GUIDE.read_text().partition("## A sale, worked through")[2]
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
    opened = await open_database(database)
    seen = []
    for chain in steps:
        assert await book(opened, chain) == [None]
        rows = await pool.fetch("SELECT owner_id, currency, purpose, balance_minor FROM accounts")
        balances = {Account(r["owner_id"], r["currency"], r["purpose"]): r["balance_minor"] for r in rows}
        seen.append([balances.get(account, 0) for account in columns])
    await opened.close()
    assert seen == table()
    assert [sum(row) for row in seen] == [0, 0, 0, 0]
