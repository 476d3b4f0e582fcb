"""What goes to the transparency log, in the transaction in which it happens."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from protocols.ledger.leaves import hash_account, hash_ref, hash_user, read_entry_id
from protocols.payments.postings import Hold, HoldPart, PostHold
from protocols.values import new_id, to_timestamp
from storage.engines.postgres import Database, open_database
from storage.ledger.leaves import Settlement, queue_settlements
from storage.payments.posting import post
from storage.payments.posting_rules import available
from tests.support.money import COMMISSION, EXTERNAL, book, top_up, transfer

NOW_MS = 1_790_000_000_123


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str) -> AsyncIterator[Database]:
    made = await open_database(database)
    yield made
    await made.close()


async def taken(pool):
    """What is queued, oldest first, as (lines, parties); it is queued no more."""
    rows = await pool.fetch(
        "WITH gone AS (DELETE FROM ledger_queue RETURNING *) SELECT * FROM gone ORDER BY queue_id"
    )
    return [(row["leaf"].decode("ascii").splitlines(), row["parties"]) for row in rows]


def fields(lines):
    return dict(line.split(" ") for line in lines[1:])


async def test_a_transfer_leaves_a_leaf_that_only_who_knows_the_ids_can_read(opened, pool):
    ann, bob = new_id(), new_id()
    paid = transfer(available(ann, "EUR"), available(bob, "EUR"), 90)
    await book(opened, [top_up(ann, 100)], [paid], now_ms=NOW_MS)
    (first, first_parties), (lines, parties) = await taken(pool)
    assert fields(first)["reason"] == "top_up"
    assert first_parties == [ann]  # the market's own account is nobody's
    assert parties == [ann, bob]
    said = fields(lines)
    salt = bytes.fromhex(said["salt"])
    assert len(salt) == 16
    assert lines == [
        "mnbara.transfer/1",
        f"salt {salt.hex()}",
        f"transfer {paid.transfer_id}",
        f"debit {hash_account(salt, ann, 'available', 'EUR')}",
        f"credit {hash_account(salt, bob, 'available', 'EUR')}",
        "amount 90",
        "currency EUR",
        "reason sale",
        f"ref {hash_ref(salt, paid.ref)}",
        f"at {to_timestamp(NOW_MS)}",
    ]
    assert read_entry_id("\n".join(lines).encode()) == paid.transfer_id
    text = "\n".join(lines)
    assert not any(str(known) in text or known.hex in text for known in (ann, bob, paid.ref))
    assert fields(first)["salt"] != said["salt"]
    assert fields(first)["credit"] != said["debit"]  # one account, another salt


async def test_what_is_refused_or_was_booked_before_leaves_nothing(opened, pool):
    ann, bob = available(new_id(), "EUR"), available(new_id(), "EUR")
    paid = transfer(ann, bob, 90)
    await book(opened, [top_up(ann.owner_id, 100)], [paid])
    assert len(await taken(pool)) == 2
    await book(opened, [paid], [transfer(ann, bob, 1_000)])
    assert await taken(pool) == []


async def roll_back(opened, chain):
    async with opened.transaction() as db:
        await post(db, [chain], NOW_MS)
        raise LookupError


async def test_nothing_is_queued_when_the_transaction_does_not_commit(opened, pool):
    with pytest.raises(LookupError):
        await roll_back(opened, [top_up(new_id(), 100)])
    assert await taken(pool) == []


async def test_every_step_of_a_hold_is_logged_and_an_escrow_is_nobodys(opened, pool):
    ann, deal = new_id(), new_id()
    hold = Hold(
        hold_id=new_id(), owner_id=ann, currency="EUR", amount_minor=60, ref=deal, expires_at_ms=NOW_MS + 1
    )
    escrow = available(deal, "EUR")
    part = HoldPart(
        transfer_id=new_id(),
        credit=type(escrow)(deal, "EUR", "escrow"),
        amount_minor=50,
        reason="sale",
    )
    await book(opened, [top_up(ann, 100)], [hold], now_ms=NOW_MS)
    await book(opened, [PostHold(hold_id=hold.hold_id, parts=(part,), return_id=new_id())], now_ms=NOW_MS)
    leaves = await taken(pool)
    assert [fields(lines)["reason"] for lines, _ in leaves] == ["top_up", "hold", "sale", "hold_returned"]
    assert [parties for _, parties in leaves] == [[ann]] * 4
    await book(opened, [transfer(EXTERNAL, COMMISSION, 5)])
    assert [parties for _, parties in await taken(pool)] == [[]]


async def test_a_settlement_names_its_winner_by_a_hash(opened, pool):
    auction_id, seller, winner = new_id(), new_id(), new_id()

    def result(winner_id, units, outcome):
        return Settlement(
            auction_id=auction_id,
            seller_id=seller,
            outcome=outcome,
            price_minor=1_250,
            currency="EUR",
            bid_count=7,
            winner_id=winner_id,
            units=units,
        )

    async with opened.transaction() as db:
        await queue_settlements(db, [result(winner, 2, "sold"), result(None, 0, "unsold")], NOW_MS)
        await queue_settlements(db, [], NOW_MS)
    (sold, parties), (unsold, no_parties) = await taken(pool)
    salt = bytes.fromhex(fields(sold)["salt"])
    assert sold == [
        "mnbara.settlement/1",
        f"salt {salt.hex()}",
        f"auction {auction_id}",
        "outcome sold",
        "price 1250",
        "currency EUR",
        "bids 7",
        f"winner {hash_user(salt, winner)}",
        "units 2",
        f"at {to_timestamp(NOW_MS)}",
    ]
    assert (parties, no_parties) == ([seller, winner], [seller])
    assert fields(unsold)["winner"] == "none"
