"""The parties of an entry are sent its proof, once, and it holds."""

import base64

from handlers.ledger import proving, sequencing
from handlers.ledger.merkle import is_included, leaf_hash
from handlers.ledger.notes import read_checkpoint, read_note
from handlers.ledger.proving import ENTRIES_MAX
from protocols.payments.postings import Account
from protocols.topics import personal_channel
from protocols.values import new_id
from tests.support.money import COMMISSION, EXTERNAL, book, transfer


def checked(proof, key):
    """Check a proof file as a stranger would; return the leaf and its index."""
    header, extra, place, *rest = proof.partition("\n\n")[0].split("\n")
    assert header == "c2sp.org/tlog-proof@v1"
    leaf = base64.b64decode(extra.removeprefix("extra "))
    index = int(place.removeprefix("index "))
    note = read_note(proof.partition("\n\n")[2])
    said = read_checkpoint(note.text)
    assert note.is_signed_by(key)
    assert is_included(
        index, said.size, leaf_hash(leaf), [base64.b64decode(line) for line in rest], said.root
    )
    return leaf, index


async def test_both_sides_of_a_transfer_are_sent_the_same_proof_once(log):
    moved = await log.move(3)
    await log.sequence()
    for _ in range(2):
        await log.run_loop("ledger.send_proofs")
    ann, bob = moved[1].debit.owner_id, moved[1].credit.owner_id
    to_ann, to_bob = [await log.events(personal_channel(owner)) for owner in (ann, bob)]
    assert [event["entry"] for event in to_ann] == [str(one.transfer_id) for one in moved]
    assert to_bob == to_ann[1:]
    for index, event in enumerate(to_ann):
        assert set(event) == {"type", "at", "entry", "index", "proof"}
        leaf, place = checked(event["proof"], log.keys.log.key)
        assert place == event["index"] == index
        assert f"transfer {event['entry']}\n".encode() in leaf
    channels = [channel for channel, _ in log.published]
    assert sorted(channels) == sorted([personal_channel(ann), personal_channel(bob)])


async def test_what_concerns_nobody_is_proven_to_nobody(log):
    deal = Account(new_id(), "EUR", "escrow")
    await book(log.database, [transfer(EXTERNAL, COMMISSION, 5)], [transfer(EXTERNAL, deal, 5)])
    await log.sequence()
    await log.run_loop("ledger.send_proofs")
    assert log.published == []
    assert log.figures["ledger_unproven"] == 0


async def test_many_entries_are_proven_in_several_turns_and_none_twice(log):
    moved = await log.move(ENTRIES_MAX * 2 + 7)
    await log.sequence()
    await log.run_loop("ledger.send_proofs")
    events = await log.events(personal_channel(moved[1].debit.owner_id))
    assert [event["index"] for event in events] == list(range(len(moved)))
    for event in events[:: len(events) // 7]:
        checked(event["proof"], log.keys.log.key)
    assert log.figures["ledger_unproven"] == 0


async def test_a_proof_takes_one_turn_of_each_loop_and_their_pauses_are_below_a_second(log):
    """How long that is on the clock is what `./mnbara bench ledger` measures."""
    await log.sequence()
    turns = []
    for _ in range(20):
        (moved,) = await log.move(1)
        for count in (1, 2, 3):
            await log.turn("ledger.sequence_leaves")
            await log.turn("ledger.send_proofs")
            if await log.events(personal_channel(moved.credit.owner_id)):
                turns.append(count)
                break
    assert turns == [1] * 20
    assert (
        sequencing.PAUSE_S + proving.PAUSE_S < 0.5
    )  # of the two seconds, most are for a machine that is busy
