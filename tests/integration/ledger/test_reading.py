"""What everybody may read of the log, what its parties may, and what is refused."""

import base64

import pytest

from handlers.contract import ANONYMOUS, Caller
from handlers.ledger.merkle import is_consistent, is_included, leaf_hash
from handlers.ledger.notes import read_checkpoint, read_note, read_vkey
from protocols.errors import InvalidInput
from protocols.ledger.refusals import CheckpointNotFound, LogEntryNotFound, TreeTooSmall
from protocols.values import new_id
from tests.integration.ledger.conftest import leaves_of
from tests.integration.ledger.test_proving import checked

ADMIN = Caller(user_id=new_id(), roles=frozenset({"user", "admin"}))
SUPPORT = Caller(user_id=new_id(), roles=frozenset({"user", "support"}))


def signed_in(user_id):
    return Caller(user_id=user_id, roles=frozenset({"user"}))


@pytest.fixture
async def filled(log):
    """A log of three checkpoints, and who paid in it."""
    payer = new_id()
    for count in (3, 5, 270):
        await log.move(count, payer)
        await log.sequence()
    return log, signed_in(payer)


async def test_get_checkpoint_shows_the_newest_signed_state(filled):
    log, _ = filled
    told = await log.call("ledger.get_checkpoint")
    key = read_vkey((await log.call("ledger.get_key"))["vkey"])
    note = read_note(told["checkpoint"])
    assert note.is_signed_by(key)
    assert (told["tree_size"], base64.b64decode(told["root_hash"])) == (278, read_checkpoint(note.text).root)


async def test_a_party_and_an_administrator_get_the_leaf_in_the_proof_others_the_hashes_alone(filled):
    log, payer = filled
    for index in (0, 7, 255, 256, 277):
        to_payer, to_admin = [
            (await log.call("ledger.get_inclusion_proof", who, index=index))["proof"]
            for who in (payer, ADMIN)
        ]
        assert to_payer == to_admin
        assert checked(to_payer, log.keys.log.key)[1] == index
        for who in (ANONYMOUS, SUPPORT, signed_in(new_id())):
            proof = (await log.call("ledger.get_inclusion_proof", who, index=index))["proof"]
            header, extra, rest = to_payer.split("\n", 2)
            assert extra.startswith("extra ")
            assert proof == f"{header}\n{rest}"


async def test_a_proof_may_be_asked_for_an_older_checkpoint(filled):
    log, payer = filled
    told = await log.call("ledger.get_inclusion_proof", payer, index=2, tree_size=3)
    assert told["tree_size"] == 3
    assert checked(told["proof"], log.keys.log.key)[1] == 2
    for index, size, refusal in (
        (3, 3, LogEntryNotFound),
        (0, 4, CheckpointNotFound),
        (278, None, LogEntryNotFound),
    ):
        with pytest.raises(refusal):
            await log.call("ledger.get_inclusion_proof", payer, index=index, tree_size=size)


async def test_a_consistency_proof_leads_from_any_size_to_any_later_one(filled):
    log, _ = filled
    roots = {
        row["tree_size"]: row["root_hash"] for row in await log.pool.fetch("SELECT * FROM ledger_checkpoints")
    }
    for old, new in ((3, 8), (3, 278), (8, 278), (278, 278)):
        told = await log.call("ledger.get_consistency_proof", old=old, new=new)
        hashes = [base64.b64decode(text) for text in told["hashes"]]
        assert is_consistent(old, new, hashes, roots[old], roots[new])
    assert (await log.call("ledger.get_consistency_proof", old=100, new=200))[
        "hashes"
    ]  # no checkpoints of those


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        (0, 3, InvalidInput),
        (-1, 3, InvalidInput),
        (5, 3, InvalidInput),
        (1, 279, TreeTooSmall),
        (1, 2**53 - 1, TreeTooSmall),
        (1, 2**53, InvalidInput),
        (1, 10**40, InvalidInput),
        (1, "3", InvalidInput),
    ],
)
async def test_sizes_that_the_log_does_not_have_are_refused(filled, old, new, refusal):
    log, _ = filled
    with pytest.raises(refusal):
        await log.call("ledger.get_consistency_proof", old=old, new=new)


async def test_entries_are_listed_with_what_was_logged_for_those_whom_it_concerns(filled):
    log, payer = filled
    leaves = [row["leaf"] for row in await leaves_of(log.pool)]
    first = await log.call("ledger.list_entries", **{"from": 0, "limit": 100})
    second = await log.call("ledger.list_entries", payer, **{"from": int(first["next_cursor"]), "limit": 100})
    last = await log.call("ledger.list_entries", ADMIN, **{"from": 200, "limit": 100})
    assert last["next_cursor"] is None
    items = [*first["items"], *second["items"], *last["items"]]
    assert [item["index"] for item in items] == list(range(278))
    assert [base64.b64decode(item["leaf_hash"]) for item in items] == [leaf_hash(leaf) for leaf in leaves]
    assert {(item["leaf"], item["entry"]) for item in items[:100]} == {(None, None)}
    assert [base64.b64decode(item["leaf"]) for item in items[100:]] == leaves[100:]
    assert all(item["entry"].encode() in base64.b64decode(item["leaf"]) for item in items[100:])
    assert (await log.call("ledger.list_entries", **{"from": 500}))["items"] == []
    for fields in ({"from": -1}, {"from": 2**53}, {"limit": 0}, {"limit": 101}):
        with pytest.raises(InvalidInput):
            await log.call("ledger.list_entries", **fields)


async def test_an_anchor_is_pending_until_there_is_one(filled):
    log, _ = filled
    told = await log.call("ledger.get_anchor", tree_size=8)
    assert (told["status"], told["chain_id"], told["transaction"]) == ("pending", None, None)
    with pytest.raises(CheckpointNotFound):
        await log.call("ledger.get_anchor", tree_size=9)


async def test_a_log_that_has_signed_nothing_says_so(log):
    for name, fields in (
        ("get_checkpoint", {}),
        ("get_inclusion_proof", {"index": 0}),
        ("get_consistency_proof", {"old": 1, "new": 1}),
        ("list_entries", {}),
        ("get_anchor", {"tree_size": 0}),
    ):
        with pytest.raises(CheckpointNotFound):
            await log.call(f"ledger.{name}", **fields)
    assert is_included(0, 1, leaf_hash(b""), [], leaf_hash(b""))
