"""A chain in this process, for tests of contracts.

Its packages take two seconds to import, so whoever needs none of it must not wait for them: they are imported late.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from storage.ledger.chain_loading import recursion_limit_kept
from storage.ledger.contracts import load_contract

NOBODY = "0x" + "00" * 20


class Evm:
    """py-evm behind web3: every transaction is a block of its own."""

    def __init__(self) -> None:
        with recursion_limit_kept():
            from eth_tester import EthereumTester, PyEVMBackend
            from web3 import EthereumTesterProvider, Web3

        self.tester = EthereumTester(PyEVMBackend())
        self.web3 = Web3(EthereumTesterProvider(self.tester))
        self.rich = self.web3.eth.accounts[0]

    def person(self, seed: int) -> Any:
        """Return somebody whose key the test knows, with coins to pay for transactions."""
        from eth_account import Account

        account = Account.from_key(seed.to_bytes(32, "big"))
        if account.address not in self.web3.eth.accounts:
            self.tester.add_account(account.key.to_0x_hex())
            self.pay(account.address, 10**20)
        return account

    def pay(self, address: str, amount: int) -> None:
        self.web3.eth.send_transaction({"from": self.rich, "to": address, "value": amount})

    def deploy(self, name: str, *args: Any, by: str | None = None) -> Any:
        contract = load_contract(name)
        return self.deploy_compiled({"abi": contract.abi, "bytecode": contract.bytecode}, *args, by=by)

    def deploy_compiled(self, compiled: dict[str, Any], *args: Any, by: str | None = None) -> Any:
        factory = self.web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
        sent = factory.constructor(*args).transact({"from": by or self.rich})
        address = self.web3.eth.get_transaction_receipt(sent)["contractAddress"]
        return self.web3.eth.contract(address=address, abi=compiled["abi"])

    def send(self, call: Any, by: str, value: int = 0) -> Any:
        """Send a call of a contract; return its receipt. Raises TransactionFailed."""
        return self.web3.eth.get_transaction_receipt(call.transact({"from": by, "value": value}))

    @property
    def now(self) -> int:
        return self.web3.eth.get_block("latest")["timestamp"]

    def travel(self, to: int) -> None:
        self.tester.time_travel(to)
        self.tester.mine_block()


@contextmanager
def reverts(reason: str = "execution reverted") -> Iterator[None]:
    from eth_tester.exceptions import TransactionFailed

    with pytest.raises(TransactionFailed, match=reason):
        yield
