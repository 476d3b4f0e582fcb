"""`ledger.drive_anchor`: a state of the log is written to a chain, on py-evm: every transaction is a block."""

import pytest

from protocols.ledger.refusals import CheckpointNotFound
from tests.support.anchoring import anchoring, deploy
from tests.support.chains import answer_by, serve_rpc
from tests.support.evm import Evm

KEY = "22" * 32


async def test_without_a_chain_every_checkpoint_waits_and_says_why(log):
    await log.move(2)
    await log.sequence()
    await log.run_loop("ledger.plan_anchor")
    assert await log.pool.fetchval("SELECT count(*) FROM jobs") == 0
    answer = await log.call("ledger.get_anchor", tree_size=2)
    assert (answer["status"], answer["progress"], answer["chain_id"]) == ("pending", "not_configured", None)
    with pytest.raises(CheckpointNotFound):
        await log.call("ledger.get_anchor", tree_size=1_000)


async def test_the_newest_state_is_anchored_and_the_next_after_the_interval(log, tmp_path):
    evm = Evm()
    evm.pay(evm.web3.eth.account.from_key(KEY).address, 10**18)
    with serve_rpc(answer_by(evm)) as url:
        place = await deploy(url, tmp_path / "key", KEY)
        async with anchoring(log, place, url, KEY) as scene:
            await scene.turn()
            assert await scene.rows() == []  # nothing of an empty log
            small = await scene.grow()
            size = await scene.grow()
            assert (await scene.anchor_of(size))["progress"] == "waiting"
            for _ in range(2):
                await log.run_loop("ledger.plan_anchor")
            assert await log.pool.fetchval("SELECT count(*) FROM jobs") == 1  # one turn at a time
            await scene.turn()
            assert (await scene.anchor_of(size))["progress"] == "sent"
            assert not await scene.stands(size)  # it is stored first, and sent by the next turn
            await scene.turns(2)
            answer = await scene.anchor_of(size)
            assert (answer["status"], answer["progress"], answer["anchor_size"]) == (
                "anchored",
                "anchored",
                size,
            )
            assert (answer["chain_id"], answer["contract"]) == (place.chain_id, place.address)
            receipt = evm.web3.eth.get_transaction_receipt(answer["transaction"])
            assert (receipt["status"], receipt["blockNumber"]) == (1, answer["block"])
            assert await scene.stands(size)
            assert (await scene.anchor_of(small))["anchor_size"] == size  # by a consistency proof

            grown = await scene.grow()
            await scene.turn()
            assert (await scene.anchor_of(grown))["progress"] == "waiting"
            assert scene.log.figures["ledger_anchor_pending_entries"] == grown - size
            assert scene.log.figures["ledger_anchor_lag_seconds"] > 0
            await scene.let_interval_pass()
            await scene.turns(3)
            assert (await scene.anchor_of(grown))["status"] == "anchored"
            assert (await scene.anchor_of(size))["transaction"] == answer["transaction"]
            await scene.turn()
            assert await scene.rows() == [(size, "anchored", None), (grown, "anchored", None)]
            assert scene.log.figures["ledger_anchor_pending_entries"] == 0
            assert scene.log.figures["ledger_anchor_lag_seconds"] == 0
