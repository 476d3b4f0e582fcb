"""What an anchor lives through: dear blocks, replaced and lost ones, nodes that are away or lie. On anvil."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from handlers.ledger.anchoring.chain import GWEI
from storage.ledger.chain_loading import recursion_limit_kept
from tests.support.anchoring import Anchoring, anchoring, deploy
from tests.support.chains import KEY, POOR_KEY, Anvil, Gate, RpcError, find_anvil, serve_rpc
from tests.support.waiting import until

pytestmark = pytest.mark.slow

FINAL = 2
"""Blocks after which anvil, with one slot in an epoch, calls one final."""


@pytest.fixture(scope="module")
def anvil():
    find_anvil()
    node = Anvil()
    node.start()
    yield node
    node.stop()


@pytest.fixture
def gate(anvil: Anvil) -> Gate:
    return Gate(lambda method, params: anvil.call(method, *params))


@pytest.fixture
def url(gate: Gate):
    with serve_rpc(gate) as url:
        yield url


@pytest.fixture
def place_of(anvil: Anvil, tmp_path):
    """Deploys the contract with a key."""

    async def place(key: str = KEY):
        anvil.call("evm_setAutomine", True)
        try:
            return await deploy(anvil.url, tmp_path / "key", key)
        finally:
            anvil.call("evm_setAutomine", False)

    return place


@pytest_asyncio.fixture(loop_scope="module")
async def scene(log, anvil: Anvil, url: str, place_of):
    anvil.call("anvil_dropAllTransactions")
    anvil.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    async with anchoring(log, await place_of(), url, KEY) as scene:
        yield scene


async def send(scene: Anchoring) -> int:
    """Have a first state of the log sent; return its size."""
    size = await scene.grow()
    await scene.turns(2)
    return size


async def finish(scene: Anchoring, anvil: Anvil) -> None:
    anvil.mine(1 + FINAL)
    await scene.turns(2)


def fees_of(transaction) -> tuple[int, int]:
    return int(transaction["maxFeePerGas"], 16), int(transaction["maxPriorityFeePerGas"], 16)


async def test_an_anchor_in_a_block_waits_until_the_block_is_final(scene: Anchoring, anvil: Anvil):
    size = await send(scene)
    assert [each["hash"] for each in anvil.pool] == await scene.sends()
    anvil.mine()
    for _ in range(2):
        await scene.turn()
        answer = await scene.anchor_of(size)
        assert (answer["status"], answer["progress"]) == ("pending", "mined")
        assert answer["transaction"] == (await scene.sends())[0]
    anvil.mine(FINAL)
    await scene.turn()
    assert (await scene.anchor_of(size))["status"] == "anchored"
    assert await scene.stands(size)


async def test_without_the_final_tag_many_confirmations_count(scene: Anchoring, anvil: Anvil, gate: Gate):
    def without_tag(method, params):
        if params[0] == "finalized":
            raise RpcError("unsupported block tag")
        return anvil.call(method, *params)

    gate.changed["eth_getBlockByNumber"] = without_tag
    size = await send(scene)
    anvil.mine(64)
    await scene.turn()
    assert (await scene.anchor_of(size))["progress"] == "mined"
    anvil.mine()
    await scene.turn()
    assert (await scene.anchor_of(size))["progress"] == "anchored"


async def test_more_is_offered_for_what_is_stuck_and_the_replacement_counts(scene: Anchoring, anvil: Anvil):
    size = await send(scene)
    first = anvil.pool[0]
    anvil.call("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    anvil.mine()
    assert anvil.call("eth_getTransactionReceipt", first["hash"]) is None  # the block was too dear for it
    anvil.call("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
    await scene.turn()
    assert len(await scene.sends()) == 1  # it is not stuck yet
    assert await scene.problem() is None
    await scene.let_it_be_stuck()
    await scene.turns(2)
    (second,) = anvil.pool
    assert (second["nonce"], second["from"]) == (first["nonce"], first["from"])
    assert fees_of(second)[0] > 50 * GWEI
    assert fees_of(second)[1] * 8 >= fees_of(first)[1] * 9
    assert await scene.sends() == [first["hash"], second["hash"]]
    assert scene.log.figures["ledger_anchor_sends"] == 2
    await finish(scene, anvil)
    assert (await scene.anchor_of(size))["transaction"] == second["hash"]
    assert await scene.stands(size)


async def test_a_replaced_transaction_that_is_mined_after_all_is_known(scene: Anchoring, anvil: Anvil):
    size = await send(scene)
    (first,) = anvil.pool
    raw = await scene.log.pool.fetchval("SELECT raw FROM ledger_anchor_sends")
    anvil.mine(0)
    await scene.let_it_be_stuck()
    anvil.call("anvil_dropAllTransactions")  # so that the stuck one is in no block
    anvil.mine()
    await scene.turn()
    assert len(await scene.sends()) == 2
    anvil.call("anvil_dropAllTransactions")  # a maker of blocks has only the first
    anvil.call("eth_sendRawTransaction", "0x" + raw.hex())
    anvil.mine()
    await scene.turns(2)
    await finish(scene, anvil)
    answer = await scene.anchor_of(size)
    assert (answer["status"], answer["transaction"]) == ("anchored", first["hash"])
    assert await scene.rows() == [(size, "anchored", None)]


async def test_no_more_is_offered_than_the_operator_allows(log, anvil: Anvil, url: str, place_of):
    async with anchoring(log, await place_of(), url, KEY, fee_max_gwei=20) as scene:
        await send(scene)
        anvil.call("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
        anvil.mine()
        await scene.let_it_be_stuck()
        await scene.turns(2)
        assert len(await scene.sends()) == 1
        anvil.call("anvil_dropAllTransactions")
    async with anchoring(log, await place_of(), url, KEY, fee_max_gwei=20) as scene:
        anvil.call("anvil_setNextBlockBaseFeePerGas", hex(50 * GWEI))
        anvil.mine()
        await scene.turns(3)  # the other contract's anchor is given up, then a new one is too dear
        assert await scene.problem() == "fee_too_high"


async def test_an_anchor_whose_block_is_gone_is_sent_again(scene: Anchoring, anvil: Anvil):
    before = anvil.call("evm_snapshot")
    size = await send(scene)
    anvil.mine()
    await scene.turn()
    assert (await scene.anchor_of(size))["progress"] == "mined"
    anvil.call("evm_revert", before)  # another branch of the chain, without it
    anvil.call("anvil_dropAllTransactions")
    anvil.mine()
    assert not await scene.stands(size)
    await scene.turn()
    answer = await scene.anchor_of(size)
    assert (answer["progress"], answer["block"], answer["transaction"]) == ("sent", None, None)
    await scene.turn()
    assert [each["hash"] for each in anvil.pool] == await scene.sends()
    await finish(scene, anvil)
    assert (await scene.anchor_of(size))["status"] == "anchored"
    assert await scene.stands(size)
    assert len(await scene.sends()) == 1


async def test_a_final_anchor_that_is_gone_is_no_anchor(scene: Anchoring, anvil: Anvil):
    before = anvil.call("evm_snapshot")
    size = await send(scene)
    await finish(scene, anvil)
    assert (await scene.anchor_of(size))["status"] == "anchored"
    anvil.call("evm_revert", before)
    anvil.mine()
    grown = await scene.grow()
    await scene.let_interval_pass()
    await scene.turn()
    assert await scene.rows() == [(size, "failed", "vanished")]
    assert (await scene.anchor_of(size))["progress"] == "waiting"
    await scene.turns(2)
    await finish(scene, anvil)
    assert (await scene.anchor_of(size))["anchor_size"] == grown
    assert await scene.stands(grown)


async def test_a_node_that_is_away_holds_up_anchors_and_nothing_else(
    scene: Anchoring, anvil: Anvil, gate: Gate
):
    size = await send(scene)
    gate.down = True
    for _ in range(2):
        await scene.turn()
        assert await scene.problem() == "unreachable"
    await scene.log.run_loop("ledger.plan_anchor")
    assert scene.log.figures["ledger_anchor_stopped_seconds"] > 0
    assert await scene.log.pool.fetchval("SELECT count(*) FROM failures") == 0  # the job waits, however long
    await scene.grow()
    gate.down = False
    await scene.turn()
    assert await scene.problem() is None
    await finish(scene, anvil)
    assert (await scene.anchor_of(size))["status"] == "anchored"
    assert scene.log.figures["ledger_anchor_stopped_seconds"] == 0


async def test_a_sent_transaction_whose_answer_was_lost_is_found_again(
    scene: Anchoring, anvil: Anvil, gate: Gate
):
    def lose(method, params):
        anvil.call(method, *params)
        raise ConnectionError

    gate.changed["eth_sendRawTransaction"] = lose
    size = await send(scene)
    assert await scene.problem() == "unreachable"
    assert [each["hash"] for each in anvil.pool] == await scene.sends()
    await finish(scene, anvil)
    assert (await scene.anchor_of(size))["status"] == "anchored"
    assert len(await scene.sends()) == 1


async def test_a_key_that_does_not_own_the_contract_sends_nothing(log, anvil: Anvil, url: str, place_of):
    anvil.call("anvil_dropAllTransactions")
    async with anchoring(log, await place_of(), url, POOR_KEY) as scene:
        await scene.grow()
        await scene.turn()
        assert await scene.problem() == "not_owner"
    assert anvil.pool == []
    assert await scene.rows() == []


async def test_a_key_without_funds_sends_nothing_until_it_has_some(log, anvil: Anvil, url: str, place_of):
    with recursion_limit_kept():
        from eth_account import Account

    address = Account.from_key(POOR_KEY).address
    anvil.call("anvil_setBalance", address, hex(10**18))
    place = await place_of(POOR_KEY)
    anvil.call("anvil_setBalance", address, hex(1_000))
    async with anchoring(log, place, url, POOR_KEY) as scene:
        size = await scene.grow()
        await scene.turn()
        assert await scene.problem() in {"no_funds", "refused"}  # anvil refuses to estimate for the penniless
        assert await scene.rows() == []
        anvil.call("anvil_setBalance", address, hex(10**18))
        await scene.turns(2)
        assert await scene.problem() is None
        await finish(scene, anvil)
        assert (await scene.anchor_of(size))["status"] == "anchored"


async def test_a_node_of_another_chain_is_refused(scene: Anchoring, anvil: Anvil, gate: Gate):
    await scene.grow()
    gate.changed["eth_chainId"] = lambda _method, _params: "0x5"
    await scene.turn()
    assert await scene.problem() == "wrong_chain"
    assert anvil.pool == []
    del gate.changed["eth_chainId"]
    gate.changed["eth_getCode"] = lambda _method, _params: "0x"
    await scene.turn()
    assert await scene.problem() == "no_contract"
    assert await scene.rows() == []


async def test_a_nonce_that_somebody_else_with_the_key_used_is_taken_anew(scene: Anchoring, anvil: Anvil):
    size = await send(scene)
    anvil.call("anvil_dropAllTransactions")
    owner = anvil.call("eth_accounts")[0]
    anvil.call("eth_sendTransaction", {"from": owner, "to": owner, "value": "0x1"})
    anvil.mine()
    await scene.turn()
    assert (await scene.anchor_of(size))["progress"] == "sent"  # the block may vanish, and it with it
    anvil.mine(FINAL)
    await scene.turn()
    assert await scene.rows() == [(size, "failed", "nonce_taken")]
    await scene.turns(2)
    await finish(scene, anvil)
    assert await scene.rows() == [(size, "failed", "nonce_taken"), (size, "anchored", None)]
    assert await scene.stands(size)


async def test_a_nonce_that_a_node_made_up_holds_up_one_anchor(scene: Anchoring, anvil: Anvil, gate: Gate):
    size = await scene.grow()
    gate.changed["eth_getTransactionCount"] = lambda _method, _params: "0xffff"
    await scene.turn()
    gate.changed = {}
    await scene.turn()
    anvil.mine()
    await scene.let_it_be_stuck()
    await scene.turns(3)
    await finish(scene, anvil)
    assert await scene.rows() == [(size, "failed", "nonce_gap"), (size, "anchored", None)]
    assert await scene.stands(size)


async def test_an_older_copy_of_the_database_finds_what_stands_on_the_chain(scene: Anchoring, anvil: Anvil):
    size = await send(scene)
    await finish(scene, anvil)
    await scene.log.pool.execute("TRUNCATE ledger_anchor_sends, ledger_anchors")
    await scene.turn()
    answer = await scene.anchor_of(size)
    assert (answer["status"], answer["transaction"], answer["anchor_size"]) == ("anchored", None, size)
    assert await scene.sends() == []


async def test_a_log_that_is_behind_the_chain_sends_nothing(scene: Anchoring, anvil: Anvil):
    size = await scene.grow()
    node = await scene.chain.node()
    head = await node.newest_block()
    fees, nonce = await node.asked_fees(head), await node.nonce()
    await node.send(node.sign_anchor(scene.limits.place, size + 5, b"x" * 32, nonce, fees, 200_000))
    anvil.mine(1 + FINAL)
    await scene.turn()
    assert await scene.problem() == "chain_ahead"
    assert await scene.rows() == []


async def test_a_reverted_transaction_is_named_and_another_one_begun(scene: Anchoring, anvil: Anvil):
    size = await send(scene)
    code = anvil.call("eth_getCode", scene.limits.place.address, "latest")
    anvil.call("anvil_setCode", scene.limits.place.address, "0x5f5ffd")  # reverts, whoever calls
    anvil.mine(1 + FINAL)
    anvil.call("anvil_setCode", scene.limits.place.address, code)
    await scene.turn()
    assert await scene.rows() == [(size, "failed", "reverted")]
    await scene.turns(2)
    await finish(scene, anvil)
    assert (await scene.rows())[1:] == [(size, "anchored", None)]


async def test_whatever_a_node_says_is_a_named_problem_and_nothing_is_signed(scene: Anchoring, gate: Gate):
    await scene.grow()
    named = {}
    for method in ("eth_chainId", "eth_getCode", "eth_getBlockByNumber", "eth_getBalance", "eth_call"):
        gate.changed = {method: lambda _method, _params: "0xzz"}
        await scene.turn()
        named[method] = await scene.problem()
    assert set(named.values()) == {"bad_answer"}
    assert await scene.rows() == []
    gate.changed = {}
    size = await send(scene)
    gate.changed = {
        "eth_getTransactionReceipt": lambda _method, _params: {"blockNumber": "0x1", "status": "0x1"}
    }
    await scene.turn()
    assert (await scene.problem(), await scene.rows()) == ("bad_answer", [(size, "sent", None)])
    assert await scene.log.pool.fetchval("SELECT count(*) FROM failures") == 0


ROOT = Path(__file__).parents[3]


async def start_worker(
    database: str, redis_url: str, scene: Anchoring, url: str
) -> asyncio.subprocess.Process:
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.ledger.anchor_worker"),
        *(database, redis_url, str(scene.limits.place), url, KEY),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"working\n"
    return worker


@pytest.mark.parametrize("sent", [True, False], ids=["after it was sent", "before it was sent"])
async def test_a_worker_that_is_killed_while_it_sends_leaves_one_anchor(
    scene: Anchoring, anvil: Anvil, gate: Gate, url: str, database: str, redis_url: str, sent: bool
):
    size = await scene.grow()
    worker = await start_worker(database, redis_url, scene, url)

    def kill(method, params):
        if sent:
            anvil.call(method, *params)
        worker.send_signal(signal.SIGKILL)
        raise ConnectionError

    gate.changed["eth_sendRawTransaction"] = kill
    try:
        assert await asyncio.wait_for(worker.wait(), 30) == -signal.SIGKILL
        del gate.changed["eth_sendRawTransaction"]
        assert len(anvil.pool) == int(sent)
        assert await scene.rows() == [(size, "sent", None)]  # stored before it was sent
        assert await scene.log.pool.fetchval("SELECT count(*) FROM jobs WHERE unreported = 1") == 1
        await scene.log.pool.execute("UPDATE jobs SET due_at_ms = 0")  # the lease of the killed one ends
        worker = await start_worker(database, redis_url, scene, url)

        async def is_in_a_block() -> bool:
            anvil.mine()
            return (await scene.anchor_of(size))["status"] == "anchored"

        await until(is_in_a_block, "a final anchor")
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    assert len(await scene.sends()) == 1
    assert await scene.stands(size)
