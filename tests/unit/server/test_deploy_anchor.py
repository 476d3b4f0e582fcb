"""`./mnbara deploy-anchor` on nodes that do not let it."""

import pytest

from handlers.settings import Settings, SettingsError
from server.cli.deploy_anchor import deploy_anchor
from storage.ledger.chain_errors import ChainError
from tests.support.chains import Gate, serve_rpc

pytestmark = pytest.mark.slow

KEY = "22" * 32
BLOCK = {"number": "0x10", "timestamp": "0x5", "baseFeePerGas": "0x3b9aca00"}
HASH = "0x" + "aa" * 32


@pytest.fixture
def gate() -> Gate:
    answers = {
        "eth_chainId": "0x5",
        "eth_getBlockByNumber": BLOCK,
        "eth_maxPriorityFeePerGas": "0x0",
        "eth_estimateGas": "0x5d3b0",
        "eth_getBalance": hex(10**18),
        "eth_getTransactionCount": "0x0",
        "eth_sendRawTransaction": HASH,
        "eth_getTransactionReceipt": None,
        "eth_getCode": "0x60",
    }
    return Gate(lambda method, _params: answers[method])


async def refusal_of(gate: Gate, tmp_path, **changed) -> tuple[str, str, list[str]]:
    key = tmp_path / "key"
    key.write_text(KEY)
    said: list[str] = []
    with serve_rpc(gate) as url:
        settings = Settings(chain_url=url, chain_key=str(key), **changed)
        with pytest.raises(ChainError) as caught:
            await deploy_anchor(settings, said.append, look_s=0.01)
    assert KEY not in caught.value.detail + "".join(said)
    return caught.value.problem, caught.value.detail, said


async def test_nothing_is_sent_without_funds_or_above_the_operators_limit(gate: Gate, tmp_path):
    gate.changed["eth_getBalance"] = lambda _method, _params: "0x1"
    problem, told, said = await refusal_of(gate, tmp_path)
    assert (problem, said) == ("no_funds", [])
    assert "has 1 wei and needs 954" in told
    del gate.changed["eth_getBalance"]
    problem, told, said = await refusal_of(gate, tmp_path, chain_fee_max_gwei=1)
    assert (problem, said) == ("fee_too_high", [])
    assert "the chain asks for 2 gwei" in told
    assert "eth_sendRawTransaction" not in gate.calls


async def test_a_deployment_that_reverts_or_leaves_no_contract_is_told_with_its_hash(gate: Gate, tmp_path):
    def receipt(status: str):
        return lambda _method, params: {"transactionHash": params[0], "blockNumber": "0x11", "status": status}

    gate.changed["eth_getTransactionReceipt"] = receipt("0x0")
    problem, told, said = await refusal_of(gate, tmp_path)
    assert problem == "refused"
    assert told.endswith("reverted")
    assert said[0].startswith("chain 5, key 0x")
    assert told.split()[0] in said[0]
    gate.changed["eth_getTransactionReceipt"] = receipt("0x1")
    gate.changed["eth_getCode"] = lambda _method, _params: "0x"
    problem, _, _ = await refusal_of(gate, tmp_path)
    assert problem == "no_contract"


async def test_settings_that_name_no_node_or_no_key_are_refused(tmp_path):
    for settings, told in (
        (Settings(), "MNBARA_CHAIN_URL must name the node"),
        (Settings(chain_url="http://127.0.0.1:1"), "needs MNBARA_CHAIN_KEY"),
    ):
        with pytest.raises(SettingsError, match=told):
            await deploy_anchor(settings, print)
