"""The tables of docs/money.md about money in and out are what the books say after each step."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from storage.payments.built_in_objects import lock_object
from storage.payments.built_in_rules import decide_dispute
from storage.payments.posting_rules import available
from tests.support.domains import Market
from tests.support.money import EXTERNAL, book, transfer
from tests.support.payments import begin, confirm, go_on, open_account, open_payments, pay, settle

GUIDE = Path(__file__).parents[3] / "docs" / "money.md"


def table(title: str) -> list[list[int]]:
    """The amounts of a worked example, row by row, in minor units; an empty cell is nothing."""
    text = GUIDE.read_text().partition(f"# {title}, worked through\n")[2].partition("\n#")[0]
    rows = [
        line.strip("|").split("|")[1:] for line in text.splitlines() if re.match(r"\| (?!step)[a-z0-9]", line)
    ]
    return [[minor(cell) for cell in row] for row in rows]


def minor(cell: str) -> int:
    return round(float(cell.strip() or 0) * 100)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_payments(database, redis) as opened:
        yield opened


class Example:
    """One person, those they spend with, and what the books say of them since the example began."""

    def __init__(self, market, pool, ann, shop):
        self.market, self.pool, self.ann, self.shop = market, pool, ann, shop
        self._began: int | None = None

    async def balances(self) -> list[int]:
        own = "SELECT coalesce(sum(balance_minor), 0)::bigint FROM accounts WHERE owner_id = $1 AND purpose = $2"
        purposes = ("available", "payable", "receivable")
        mine = [await self.pool.fetchval(own, self.ann.id, purpose) for purpose in purposes]
        others = await self.pool.fetchval(own, self.shop.id, "available")
        outside = await self.pool.fetchval(own, EXTERNAL.owner_id, "external")
        self._began = outside if self._began is None else self._began
        return [*mine, others, outside - self._began]

    async def come_in(self, amount, card="visa"):
        self.paid = await pay(self.market, self.ann, amount, card)

    async def ask_back(self, amount):
        fields = {"top_up_id": self.paid["id"], "amount": amount, "key": "r"}
        await self.market.call("payments.refund_top_up", self.ann, **fields)

    async def come_late(self):
        late = await begin(self.market, self.ann, 5_000)
        await confirm(self.market, self.ann, late, "slow")
        await self.market.call("payments.cancel_top_up", self.ann, top_up_id=late["id"])
        await self.market.run_jobs("payments.advance_top_up")
        await self.market.run_timers("continue_test_object")
        await self.market.run_jobs("payments.deliver_test_event")
        await self.market.run_timers("process_events")
        await self.market.run_jobs("payments.advance_top_up")

    async def spend(self, amount):
        accounts = [available(who.id, "EUR") for who in (self.ann, self.shop)]
        await book(self.market.database, [transfer(*accounts, amount)])

    async def win(self):
        newest = "SELECT object_id FROM test_objects WHERE kind = 'dispute' ORDER BY object_id DESC LIMIT 1"
        object_id = await self.pool.fetchval(newest)
        async with self.market.database.transaction() as db:
            await decide_dispute(db, await lock_object(db, object_id), "won")
        await settle(self.market)

    async def ask_for(self, amount, bank):
        await open_account(self.market, self.ann, bank=bank)
        money = {"amount": amount, "currency": "EUR"}
        await self.market.call("payments.request_payout", self.ann, money=money, key=f"p{amount}")

    async def pay_out(self):
        await self.market.run_timers("check_payouts")
        await go_on(self.market)


EXAMPLES = {
    "A top-up and a refund": [
        lambda e: e.come_in(5_000),
        lambda e: e.ask_back(2_000),
        lambda e: settle(e.market),
    ],
    "A top-up that is paid after it was canceled": [lambda e: e.come_late(), lambda e: settle(e.market)],
    "A dispute": [
        lambda e: e.come_in(5_000, "disputed"),
        lambda e: e.spend(3_500),
        lambda e: go_on(e.market),
        lambda e: e.come_in(2_000),
        lambda e: e.win(),
    ],
    "Payouts": [
        lambda e: e.come_in(10_000),
        lambda e: e.ask_for(4_000, "pays"),
        lambda e: e.pay_out(),
        lambda e: e.ask_for(1_000, "fails"),
        lambda e: e.pay_out(),
    ],
}


@pytest.mark.parametrize("title", EXAMPLES)
async def test_each_flow_books_what_its_table_says(market, pool, title):
    example = Example(market, pool, await market.new_user(), await market.new_user())
    await example.balances()
    seen = []
    for step in EXAMPLES[title]:
        await step(example)
        seen.append(await example.balances())
    assert seen == table(title)
    assert [sum(row) for row in seen] == [0] * len(seen)


def test_every_table_of_the_guide_is_booked():
    titles = re.findall(r"^##+ (.+), worked through$", GUIDE.read_text(), re.MULTILINE)
    assert titles == ["A sale", *EXAMPLES]
