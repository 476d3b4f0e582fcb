"""Faults of money that other marketplaces found only by running a whole sale; each test's name says the fault.

Those of Spree pull request 14622 that are tested elsewhere: a webhook registered again loses the former secret
(test_webhooks), a fully refunded payment is still paid (test_top_ups, test_escrow_rules), a payout of more than there
is and one that the bank returned but that is still settled (test_payouts). Of others: spends that both find no row and
pass (test_posting, Formance), a bid that fails to be paid moves the price (auctions/test_deposits, PlebeianApp 907),
one wallet leads more auctions than it can pay (auctions/test_wallet_guard, CropChain 807), two equal bids both lead
(auctions/test_bidding, CropChain 1229), a mined transaction whose fee was raised is lost
(ledger/test_anchoring_trouble, morpho-bots 197), a leaf edited under a valid tree (ledger/test_auditing, Tessera 629).
"""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from protocols.payments.escrows import EscrowPart, RefundEscrow, ReleaseEscrow
from protocols.payments.provider_refusals import RefundTooLarge
from protocols.payments.refusals import EscrowTooSmall
from protocols.values import new_id
from storage.payments.posting_rules import available
from tests.support.domains import Market
from tests.support.money import assert_books_are_right, book, line, opening, step, top_up, transfer
from tests.support.payments import go_on, open_payments, pay, read, settle, wallet


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_payments(database, redis) as opened:
        yield opened


def part(kind, opened, place, amount):
    return kind(step_id=new_id(), escrow_id=opened.escrow_id, parts=(EscrowPart(line=place, amount=amount),))


async def open_deal(market, *lines):
    """An escrow of these lines, whose payer has nothing else."""
    payer = new_id()
    opened = opening(payer, *lines)
    await book(market.database, [top_up(payer, sum(each.amount_minor for each in lines))])
    await step(market.database, opened)
    return opened


async def take(market, *steps):
    return [await step(market.database, each) for each in steps]


async def test_a_deal_split_over_several_receivers_never_counts_as_paid(market, pool):
    """Spree pull request 14622: of an order that was split no part was ever "paid"."""
    opened = await open_deal(
        market, *(line("seller", amount, new_id()) for amount in (300, 200)), line("commission", 50)
    )
    parts = [(0, 300), (1, 200), (2, 50)]
    answers = await take(market, *(part(ReleaseEscrow, opened, *each) for each in parts))
    assert [answer.escrow.row.status for (answer,) in answers] == ["open", "open", "released"]
    await assert_books_are_right(pool)


async def test_a_delivery_in_two_parcels_is_paid_twice(market, pool):
    """Spree pull request 14622: who split a parcel was charged for its way twice."""
    traveller = new_id()
    opened = await open_deal(market, line("seller", 500, new_id()), line("traveller", 100, traveller))
    halves = [part(ReleaseEscrow, opened, 1, 60), part(ReleaseEscrow, opened, 1, 40)]
    await take(market, *halves, *halves)
    ((refused,),) = await take(market, part(ReleaseEscrow, opened, 1, 1))
    assert isinstance(refused, EscrowTooSmall)
    assert refused.facts["left"] == 0
    paid = "SELECT balance_minor FROM accounts WHERE owner_id = $1 AND purpose = 'available'"
    assert await pool.fetchval(paid, traveller) == 100
    await assert_books_are_right(pool)


async def test_a_deal_refunded_part_by_part_is_still_paid(market, pool):
    """Spree pull request 14622: a fully refunded order was still "paid"."""
    opened = await open_deal(market, line("seller", 500, new_id()), line("commission", 50))
    steps = [part(RefundEscrow, opened, *each) for each in ((0, 200), (1, 50), (0, 300))]
    answers = await take(market, *steps)
    assert [answer.escrow.row.status for (answer,) in answers] == ["open", "open", "refunded"]
    await assert_books_are_right(pool)


async def test_a_payment_refunded_part_by_part_is_still_paid_or_refunded_too_often(market, pool):
    """Spree pull request 14622, with refunds of parts."""
    ann = await market.new_user()
    paid = await pay(market, ann)
    for amount in (1_500, 3_499):
        await market.call(
            "payments.refund_top_up", ann, top_up_id=paid["id"], amount=amount, key=str(new_id())
        )
    with pytest.raises(RefundTooLarge):
        await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=2, key=str(new_id()))
    assert (await read(market, ann, paid))["status"] == "succeeded"
    await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=1, key=str(new_id()))
    await settle(market)
    assert (await read(market, ann, paid))["status"] == "refunded"
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "on its way"])
async def test_a_payment_that_is_refunded_and_disputed_goes_back_twice(market, pool, sent):
    """A cardholder has a part back and disputes the payment: no more leaves than came in."""
    ann = await market.new_user()
    outside = "SELECT coalesce(-sum(balance_minor), 0) FROM accounts WHERE purpose = 'external'"
    before = await pool.fetchval(outside)
    moved_before = await pool.fetchval("SELECT coalesce(sum(amount_minor), 0) FROM test_movements")
    paid = await pay(market, ann, card="disputed")
    asked = {"top_up_id": paid["id"], "amount": 1_000, "key": str(new_id())}
    await market.call("payments.refund_top_up", ann, **asked)
    if sent:
        await settle(market)
    await market.run_timers("continue_test_object")
    await settle(market)
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}
    assert await pool.fetchval(outside) == before
    assert await pool.fetchval("SELECT sum(amount_minor) FROM test_movements") == moved_before
    assert (await read(market, ann, paid))["refunded"] == (1_000 if sent else 0)
    await assert_books_are_right(pool)


async def test_a_debtor_spends_what_a_deal_paid_before_the_debt_is_paid(market, pool):
    """What an escrow releases to who owes pays the debt in the same transaction, and is proven to the debtor alone."""
    ann, bob = await market.new_user(), await market.new_user()
    await pay(market, ann, card="disputed")
    await book(market.database, [transfer(available(ann.id, "EUR"), available(bob.id, "EUR"), 4_000)])
    await go_on(market)
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 4_000}
    opened = await open_deal(market, line("seller", 4_500, ann.id), line("commission", 500))
    await take(market, ReleaseEscrow(step_id=new_id(), escrow_id=opened.escrow_id))
    assert await wallet(market, ann) == {"available": 500, "pending": 0, "owed": 0}
    leaves = await pool.fetch("SELECT leaf, parties FROM ledger_queue ORDER BY queue_id DESC LIMIT 3")
    shown = [(re.search(rb"reason (\S+)", row["leaf"])[1], row["parties"]) for row in leaves]
    both = [opened.payer_id, ann.id]
    assert shown == [(b"debt_repaid", [ann.id]), (b"commission", both), (b"sale", both)]
    await assert_books_are_right(pool)
