"""A node is believed nothing: what is no value of its kind, too large, too late or refused ends as a named problem."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from protocols.ledger.chains import Fees, Place, SignedTransaction, parse_place
from storage.ledger.chain_errors import MESSAGE_MAX, ChainError
from storage.ledger.chain_loading import load_open_node
from tests.support.chains import Gate, RpcError, serve_rpc

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
KEY = "22" * 32
PLACE = Place(1, "0x" + "11" * 20)
LIES: dict[str, Any] = {
    "null": None,
    "a word": "yes",
    "a list": [1],
    "a wrong number": "0xzz",
    "a huge number": "0x" + "f" * 500_000,
    "a negative number": -5,
    "a fraction": 0.5,
    "an object": {"number": "0x1", "status": []},
    "no JSON": b"<html>",
    "another answer": b'{"jsonrpc":"2.0","id":0,"result":"0x1"}',
    "no result": b'{"jsonrpc":"2.0","id":1}',
    "nothing": b"",
    "too much": b" " * (1 << 21),
    "deep": b"[" * 100_000,
    "deep inside": b'{"id":1,"result":' + b"[" * 100_000,
}
TRUE = {
    ("eth_getCode", "a huge number"),  # a contract
    ("eth_getTransactionReceipt", "null"),  # none yet
    ("eth_getBlockByNumber finalized", "null"),  # then confirmations count
}
BLOCK = {"number": "0x10", "timestamp": "0x5", "baseFeePerGas": "0x7"}


def calls_of(node: Any) -> dict[str, Any]:
    return {
        "eth_chainId": node.chain_id,
        "eth_getCode": lambda: node.check(PLACE),
        "eth_getBlockByNumber latest": node.newest_block,
        "eth_getBlockByNumber finalized": lambda: node.final_block(16, 64),
        "eth_getTransactionCount": node.nonce,
        "eth_getBalance": node.balance,
        "eth_estimateGas": lambda: node.estimate(PLACE, 5, b"r" * 32),
        "eth_call owner": lambda: node.owner(PLACE),
        "eth_call newest": lambda: node.newest_size(PLACE),
        "eth_getTransactionReceipt": lambda: node.find_included("0x" + "aa" * 32),
    }


@pytest.fixture
def gate() -> Gate:
    return Gate(lambda _method, _params: "0x1")


@pytest.fixture
async def node(gate: Gate):
    with serve_rpc(gate) as url:
        async with load_open_node()(url, KEY) as node:
            yield node


async def test_no_lie_of_a_node_is_taken_for_a_value(node, gate: Gate):
    wrong = []
    for name, call in calls_of(node).items():
        for lie, value in LIES.items():
            gate.changed = {name.split()[0]: lambda _method, _params, value=value: value}
            try:
                found: Any = await call()
            except ChainError as error:
                found = error.problem
            if (name, lie) not in TRUE and found not in {"bad_answer", "refused"}:
                wrong.append((name, lie, found))
    assert wrong == []


async def test_what_a_node_refuses_is_told_shortly_and_printably(node, gate: Gate):
    def refuse(_method: str, _params: list[Any]) -> Any:
        raise RpcError("no\n\x1b[31m" + "x" * 10_000)

    gate.changed = {"eth_estimateGas": refuse}
    with pytest.raises(ChainError) as caught:
        await node.estimate(PLACE, 5, b"r" * 32)
    assert caught.value.problem == "refused"
    assert caught.value.detail.startswith("eth_estimateGas: no??[31mxxx")
    assert len(caught.value.detail) == MESSAGE_MAX


async def test_words_about_a_transaction_that_is_known_are_no_problem(node, gate: Gate):
    signed = SignedTransaction("0x" + "aa" * 32, b"raw")
    for words, problem in (
        ("already known", None),
        ("ALREADY_EXISTS: already known", None),
        ("nonce too low: next nonce 5, tx nonce 4", None),
        ("replacement transaction underpriced", None),
        ("max fee per gas less than block base fee", None),
        ("insufficient funds for gas * price + value", "no_funds"),
        ("rate limited", "refused"),
    ):

        def refuse(_method: str, _params: list[Any], words: str = words) -> Any:
            raise RpcError(words)

        gate.changed = {"eth_sendRawTransaction": refuse}
        if problem is None:
            await node.send(signed)
        else:
            with pytest.raises(ChainError) as caught:
                await node.send(signed)
            assert caught.value.problem == problem


async def test_a_node_that_is_late_or_gone_is_unreachable(monkeypatch):
    load_open_node()
    from storage.ledger.chain_http import BoundedProvider
    from storage.ledger.chain_node import ChainNode

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        try:
            while True:  # a byte now and then keeps a connection, and must not keep us
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        provider = BoundedProvider(url, call_s=0.3)
        with pytest.raises(ChainError) as caught:
            await ChainNode(provider, KEY).chain_id()
        assert (caught.value.problem, caught.value.detail) == ("unreachable", "eth_chainId: ReadTimeout") or (
            caught.value.detail == "eth_chainId: TimeoutError"
        )
    with pytest.raises(ChainError) as caught:
        await ChainNode(provider, KEY).chain_id()
    assert caught.value.problem == "unreachable"
    await provider.close()


async def test_a_redirect_and_an_answer_that_unpacks_are_not_followed(node):
    for head in (
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n",
    ):

        async def answer(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes = head
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with load_open_node()(f"http://127.0.0.1:{port}", KEY) as other:
                with pytest.raises(ChainError) as caught:
                    await other.chain_id()
        assert caught.value.problem == "bad_answer"


async def test_neither_url_nor_key_is_in_what_is_told(gate: Gate):
    gate.down = True
    with serve_rpc(gate) as url:
        async with load_open_node()(f"{url}/v2/secret-token", KEY) as node:
            with pytest.raises(ChainError) as caught:
                await node.chain_id()
    assert "secret-token" not in f"{caught.value!r} {caught.value.detail} {caught.value.__cause__!r} {node!r}"
    assert KEY not in repr(node)


def test_the_process_keeps_its_recursion_limit():
    """In a process of its own: whoever imports web3 first decides."""
    program = (
        "import sys; before = sys.getrecursionlimit();"
        " from storage.ledger.chain_loading import load_open_node; load_open_node();"
        " from storage.ledger.chain_node import ChainNode; from storage.ledger.chain_http import BoundedProvider;"
        " from protocols.ledger.chains import Fees, Place;"
        f" node = ChainNode(BoundedProvider('http://127.0.0.1:1'), '{KEY}');"
        f" node.sign_anchor(Place(1, '{PLACE.address}'), 5, bytes(32), 0, Fees(2, 1), 100);"
        " print(before == sys.getrecursionlimit())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


async def test_fees_cover_a_doubled_price_and_a_missing_suggestion(node, gate: Gate):
    block = await _block(node, gate)
    gate.changed["eth_maxPriorityFeePerGas"] = lambda _method, _params: "0x3"
    assert await node.asked_fees(block) == Fees(17, 3)

    def refuse(_method: str, _params: list[Any]) -> Any:
        raise RpcError("the method does not exist")

    gate.changed["eth_maxPriorityFeePerGas"] = refuse
    assert await node.asked_fees(block) == Fees(10**9 + 14, 10**9)


async def test_a_final_block_is_not_after_the_head(node, gate: Gate):
    await _block(node, gate)
    assert await node.final_block(12, 64) == 12
    assert await node.final_block(20, 64) == 16
    gate.changed["eth_getBlockByNumber"] = lambda _method, _params: None
    assert (await node.final_block(100, 64), await node.final_block(10, 64)) == (36, 0)


async def _block(node: Any, gate: Gate) -> Any:
    gate.changed["eth_getBlockByNumber"] = lambda _method, _params: BLOCK
    block = await node.newest_block()
    assert (block.number, block.at_ms, block.gas_price) == (16, 5_000, 7)
    return block


def test_places_are_read_and_written_as_caip_10():
    text = "eip155:1:0x5FbDB2315678afecb367f032d93F642f64180aa3"
    assert str(parse_place(text)) == text.lower()
    for bad in (
        "",
        "1:0x" + "11" * 20,
        "eip155:0:0x" + "11" * 20,
        "eip155:1:0x11",
        text + "1",
        f" {text}",
        "eip155:9" + "9" * 16,
    ):
        with pytest.raises(ValueError, match="eip155:CHAIN:ADDRESS"):
            parse_place(bad)
