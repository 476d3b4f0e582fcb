"""One node of a chain, asked through web3 about anchors.

web3 is imported with this module, so only who has a chain imports it. Whatever a node says is checked for being a value
of its kind: what is not ends as ChainError.
"""

import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from eth_account.signers.local import LocalAccount
from web3 import Account, AsyncWeb3, Web3
from web3.types import Nonce, RPCEndpoint
from web3.utils.address import get_create_address

from protocols.ledger.chains import (
    CHAIN_ID_MAX,
    WEI_MAX,
    Fees,
    Included,
    Place,
    SignedTransaction,
)
from storage.ledger.chain_errors import ChainError, RefusedCallError
from storage.ledger.chain_http import BoundedProvider
from storage.ledger.contracts import load_contract

NUMBER_MAX = 2**53 - 1

TIP = 10**9
"""Wei per gas for the block's maker where the node suggests nothing: 1 gwei."""

GAS_MAX = 5_000_000
"""An anchor takes about 77,000; chains that count their data take more."""

KNOWN = (
    "already known",
    "already imported",
    "already exists",
    "known transaction",
    "nonce too low",
    "underpriced",
    "base fee",
)
"""Words of nodes to a transaction that they have, or had, or that offers too little now: the next look shows what
became of it, and whether more is to be offered."""

_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Block:
    """The head of a block."""

    number: int
    at_ms: int
    gas_price: int
    """What each transaction pays the chain per gas (EIP-1559)."""


class ChainNode:
    """A node, and the key that signs. Every method raises ChainError; a call takes `CALL_S` at most."""

    def __init__(self, provider: BoundedProvider, key: str) -> None:
        """Speak through a provider that somebody else closes."""
        self._web3 = AsyncWeb3(provider, middleware=[])
        self._account: LocalAccount = Account.from_key(key)
        self._contract = load_contract("anchor")
        self._coder = Web3().eth.contract(abi=self._contract.abi)

    @property
    def address(self) -> str:
        """The key's account."""
        return str(self._account.address)

    async def check(self, place: Place) -> None:
        """Refuse a node of another chain, and one that has no contract there: wrong_chain, no_contract."""
        found = await self.chain_id()
        if found != place.chain_id:
            raise ChainError(
                "wrong_chain", f"the node is of chain {found}, the contract of chain {place.chain_id}"
            )
        code = await _ask("eth_getCode", self._web3.eth.get_code(_checksum(place)))
        if not isinstance(code, bytes) or not code:
            raise ChainError("no_contract", f"chain {place.chain_id} has no contract at {place.address}")

    async def chain_id(self) -> int:
        """Return the number of the node's chain."""
        return _whole(await _ask("eth_chainId", self._web3.eth.chain_id), CHAIN_ID_MAX, "a chain's number")

    async def newest_block(self) -> Block:
        """Return the head of the chain."""
        return await self._block("latest")

    async def final_block(self, head: int, confirmations: int) -> int:
        """Return the number of the newest final block, that many before the head where the node names none."""
        try:
            final = await self._block("finalized")
        except RefusedCallError:
            return max(0, head - confirmations)
        return min(head, final.number)

    async def nonce(self, block: int | None = None) -> int:
        """Return how many transactions of the key are in the chain, up to a block."""
        count = self._web3.eth.get_transaction_count(
            self._account.address, block if block is not None else "latest"
        )
        return _whole(await _ask("eth_getTransactionCount", count), NUMBER_MAX, "a count")

    async def balance(self) -> int:
        """Return what the key's account has, in wei."""
        return _whole(
            await _ask("eth_getBalance", self._web3.eth.get_balance(self._account.address)),
            2**256,
            "a balance",
        )

    async def asked_fees(self, block: Block) -> Fees:
        """Return what gets a transaction into one of the next blocks, even if their price doubles."""
        try:
            tip = await _ask("eth_maxPriorityFeePerGas", self._web3.eth.max_priority_fee)
        except RefusedCallError:
            tip = TIP
        tip = _whole(tip, WEI_MAX, "a tip")
        return Fees(2 * block.gas_price + tip, tip)

    async def find_included(self, transaction: str) -> Included | None:
        """Return where a transaction is, None while it is in no block."""
        receipt = await self._raw("eth_getTransactionReceipt", transaction)
        if receipt is None or (isinstance(receipt, dict) and receipt.get("blockNumber", "") is None):
            return None
        if not isinstance(receipt, dict) or receipt.get("transactionHash") != transaction:
            raise ChainError("bad_answer", "the receipt of another transaction")
        block = _hex(receipt, "blockNumber", NUMBER_MAX)
        return Included(transaction, block, succeeded=_hex(receipt, "status", 1) == 1)

    async def owner(self, place: Place) -> str:
        """Return who may write anchors, as `address` is written."""
        return str(await self._call(place, "owner", str))

    async def newest_size(self, place: Place) -> int:
        """Return the size of the newest anchor in the contract; 0 before the first."""
        size, _ = await self._call(place, "newest", tuple)
        return _whole(size, 2**64 - 1, "a size")

    async def root_of(self, place: Place, tree_size: int, block: int) -> bytes | None:
        """Return the root that the contract had for a size at a block.

        None also where the contract was not there yet, or the node does not know any more what was.
        """
        try:
            size, root = await self._call(place, "first_from", tuple, tree_size, block=block)
        except ChainError as error:
            if error.problem == "unreachable":
                raise
            return None
        return bytes(root) if size == tree_size else None

    async def estimate(self, place: Place, tree_size: int, root: bytes) -> int:
        """Return the gas that an anchor is given: a quarter more than it takes now."""
        call = {
            "from": self._account.address,
            "to": _checksum(place),
            "data": self._encode("anchor", tree_size, root),
        }
        gas = await _ask("eth_estimateGas", self._web3.eth.estimate_gas(call))  # type: ignore[arg-type]
        return min(_whole(gas, NUMBER_MAX, "gas") * 5 // 4, GAS_MAX)

    async def send(self, signed: SignedTransaction) -> None:
        """Give a transaction to the node, again if need be."""
        try:
            await _ask("eth_sendRawTransaction", self._web3.eth.send_raw_transaction(signed.raw))
        except RefusedCallError as refused:
            said = refused.detail.lower()
            if "insufficient funds" in said:
                raise ChainError("no_funds", refused.detail) from None
            if not any(word in said for word in KNOWN):
                raise

    def sign_anchor(
        self, place: Place, tree_size: int, root: bytes, nonce: int, fees: Fees, gas: int
    ) -> SignedTransaction:
        """Return a signed transaction that writes an anchor. Cost: about 5 ms of this process."""
        target = {"to": _checksum(place), "data": self._encode("anchor", tree_size, root)}
        return self._sign(target, place.chain_id, nonce, fees, gas)

    def sign_deployment(self, chain_id: int, nonce: int, fees: Fees, gas: int) -> SignedTransaction:
        """Return a signed transaction that puts the contract on a chain."""
        return self._sign({"data": self._contract.bytecode}, chain_id, nonce, fees, gas)

    def contract_address(self, nonce: int) -> str:
        """Return where a contract will be that the key deploys with a nonce."""
        return str(get_create_address(self._account.address, Nonce(nonce))).lower()

    async def estimate_deployment(self) -> int:
        """Return the gas that a deployment is given."""
        call = {"from": self._account.address, "data": self._contract.bytecode}
        gas = await _ask("eth_estimateGas", self._web3.eth.estimate_gas(call))  # type: ignore[arg-type]
        return min(_whole(gas, NUMBER_MAX, "gas") * 5 // 4, GAS_MAX)

    async def _raw(self, method: str, *params: Any) -> object:  # noqa: ANN401 - any JSON
        """Return an answer as the node says it: web3 fills gaps, and refuses blocks of some chains (Clique)."""
        found: object = await _ask(method, self._web3.manager.coro_request(RPCEndpoint(method), params))
        return found

    async def _block(self, which: str) -> Block:
        """Return the head of a block."""
        block = await self._raw("eth_getBlockByNumber", which, False)
        if block is None:
            raise RefusedCallError(f"no {which} block")
        return Block(
            _hex(block, "number", NUMBER_MAX),
            _hex(block, "timestamp", NUMBER_MAX // 1000) * 1000,
            _hex(block, "baseFeePerGas", WEI_MAX),
        )

    def _sign(
        self, target: dict[str, Any], chain_id: int, nonce: int, fees: Fees, gas: int
    ) -> SignedTransaction:
        fields = {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
            "value": 0,
        }
        signed = self._account.sign_transaction({**fields, **target})
        return SignedTransaction(signed.hash.to_0x_hex(), bytes(signed.raw_transaction))

    def _encode(self, function: str, *args: Any) -> str:  # noqa: ANN401 - any values of the interface
        return str(self._coder.encode_abi(function, list(args)))

    async def _call(
        self,
        place: Place,
        function: str,
        kind: type[T],
        *args: int,
        block: int | None = None,
    ) -> T:
        contract = self._web3.eth.contract(address=_checksum(place), abi=self._contract.abi)
        call = contract.functions[function](*args).call(block_identifier="latest" if block is None else block)
        found = await _ask(f"eth_call {function}", call)
        if isinstance(found, list):
            found = tuple(found)
        if not isinstance(found, kind):
            raise ChainError("bad_answer", f"{function}: not what the contract returns")
        return found


@asynccontextmanager
async def open_node(url: str, key: str) -> AsyncIterator[ChainNode]:
    """Open a node at an http(s) URL, with the key's 64 hexadecimal digits. Nothing is sent yet."""
    provider = BoundedProvider(url)
    try:
        yield ChainNode(provider, key)
    finally:
        await provider.close()


async def _ask(what: str, call: Awaitable[Any]) -> Any:  # noqa: ANN401 - checked by who asked
    """Return what web3 makes of an answer. Raises ChainError."""
    try:
        return await call
    except ChainError:
        raise
    except Exception as error:  # noqa: BLE001 - web3 raises all sorts for an answer that is no value of its kind
        raise ChainError("bad_answer", f"{what}: {type(error).__name__}") from None


def _whole(value: object, most: int, name: str) -> int:
    """Return a whole number from 0 to `most`. Raises ChainError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ChainError("bad_answer", f"not {name}")
    return value


def _hex(found: object, field: str, most: int) -> int:
    """Return the number in a field of a block or a receipt. Raises ChainError."""
    text = found.get(field) if isinstance(found, dict) else None
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise ChainError("bad_answer", f"no {field}")
    return _whole(int(text, 16), most, field)


def _checksum(place: Place) -> Any:  # noqa: ANN401 - web3's type of an address
    return Web3.to_checksum_address(place.address)
