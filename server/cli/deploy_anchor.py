"""Put the contract that keeps anchors on the chain of the settings, paid by their key."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from handlers.ledger.anchoring.chain import GWEI, read_chain_key
from handlers.settings import Settings, SettingsError
from protocols.ledger.chains import Included, Place, SignedTransaction
from storage.ledger.chain_errors import ChainError
from storage.ledger.chain_loading import load_open_node

if TYPE_CHECKING:
    from storage.ledger.chain_node import ChainNode

WAIT_S = 600.0
"""For the transaction's place in a block."""

LOOK_S = 1.0


async def deploy_anchor(settings: Settings, report: Callable[[str], None], look_s: float = LOOK_S) -> Place:
    """Deploy the contract and return where it is; `report` gets sentences meanwhile.

    Ended on the way, it has told where the contract will be, and nothing of the server has changed.
    Raises: SettingsError; ChainError, also when no block takes the transaction in time.
    """
    if not settings.chain_url:
        raise SettingsError("MNBARA_CHAIN_URL must name the node, and MNBARA_CHAIN_KEY the file of the key")
    key = read_chain_key(settings)
    async with load_open_node()(settings.chain_url, key) as node:
        return await _deploy(node, settings.chain_fee_max_gwei * GWEI, report, look_s)


async def _deploy(node: "ChainNode", fee_max: int, report: Callable[[str], None], look_s: float) -> Place:
    chain_id = await node.chain_id()
    fees = await node.asked_fees(await node.newest_block())
    gas, balance, nonce = await node.estimate_deployment(), await node.balance(), await node.nonce()
    if fees.most > fee_max:
        raise ChainError(
            "fee_too_high", f"the chain asks for {fees.most / GWEI:g} gwei, MNBARA_CHAIN_FEE_MAX_GWEI is less"
        )
    if balance < fees.most * gas:
        raise ChainError(
            "no_funds", f"{node.address} has {balance} wei and needs {fees.most * gas} on chain {chain_id}"
        )
    signed = node.sign_deployment(chain_id, nonce, fees, gas)
    place = Place(chain_id, node.contract_address(nonce))
    report(
        f"chain {chain_id}, key {node.address}: deploys {place.address} in transaction {signed.transaction}"
    )
    try:
        async with asyncio.timeout(WAIT_S):
            included = await _send(node, signed, look_s)
    except TimeoutError:
        raise ChainError("unreachable", f"no block took {signed.transaction} in {WAIT_S:g} s") from None
    if not included.succeeded:
        raise ChainError("refused", f"{signed.transaction} reverted")
    await node.check(place)
    return place


async def _send(node: "ChainNode", signed: SignedTransaction, look_s: float) -> Included:
    """Send a transaction until it is in a block."""
    while True:
        await node.send(signed)
        included = await node.find_included(signed.transaction)
        if included is not None:
            return included
        await asyncio.sleep(look_s)
