"""The contract that keeps states of the log, on py-evm."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.evm import NOBODY, Evm, reverts

ROOT, OTHER = b"\x01" * 32, b"\x02" * 32


@pytest.fixture(scope="module")
def evm() -> Evm:
    return Evm()


@pytest.fixture
def contract(evm: Evm):
    return evm.deploy("anchor")


def test_the_owner_writes_states_that_anybody_reads_back(evm: Evm, contract):
    assert contract.functions.newest().call() == (0, bytes(32))
    assert contract.functions.first_from(0).call() == (0, bytes(32))
    for size, root in ((5, ROOT), (9, OTHER), (2**64 - 1, ROOT)):
        receipt = evm.send(contract.functions.anchor(size, root), evm.rich)
        (event,) = contract.events.Anchored().process_receipt(receipt)
        assert event["args"] == {"tree_size": size, "root_hash": root}
    assert contract.functions.newest().call() == (2**64 - 1, ROOT)
    assert contract.functions.count().call() == 3
    found = [contract.functions.first_from(size).call() for size in (0, 5, 6, 9, 10)]
    assert found == [(5, ROOT), (5, ROOT), (9, OTHER), (9, OTHER), (2**64 - 1, ROOT)]


def test_what_is_no_growth_of_the_log_is_refused_and_changes_nothing(evm: Evm, contract):
    evm.send(contract.functions.anchor(5, ROOT), evm.rich)
    stranger = evm.web3.eth.accounts[1]
    for size, root, by, reason in (
        (5, OTHER, evm.rich, "not larger"),
        (4, OTHER, evm.rich, "not larger"),
        (6, bytes(32), evm.rich, "no root"),
        (6, OTHER, stranger, "not the owner"),
    ):
        with reverts(reason):
            evm.send(contract.functions.anchor(size, root), by)
    with reverts("not larger"):
        evm.send(evm.deploy("anchor").functions.anchor(0, ROOT), evm.rich)
    assert (contract.functions.count().call(), contract.functions.newest().call()) == (1, (5, ROOT))


@pytest.mark.slow
def test_a_new_owner_is_proposed_and_accepts(evm: Evm, contract):
    ann, bob, eve = evm.web3.eth.accounts[:3]
    with reverts("not proposed"):
        evm.send(contract.functions.accept_owner(), bob)
    with reverts("not the owner"):
        evm.send(contract.functions.propose_owner(eve), eve)
    receipt = evm.send(contract.functions.propose_owner(bob), ann)
    assert contract.events.OwnerProposed().process_receipt(receipt)[0]["args"] == {
        "owner": ann,
        "next_owner": bob,
    }
    evm.send(contract.functions.anchor(1, ROOT), ann)  # until then all is as before
    with reverts("not proposed"):
        evm.send(contract.functions.accept_owner(), eve)
    receipt = evm.send(contract.functions.accept_owner(), bob)
    assert contract.events.OwnerChanged().process_receipt(receipt)[0]["args"] == {"former": ann, "owner": bob}
    assert contract.functions.next_owner().call() == NOBODY
    for call in (contract.functions.anchor(2, ROOT), contract.functions.propose_owner(ann)):
        with reverts("not the owner"):
            evm.send(call, ann)
    with reverts("not proposed"):
        evm.send(contract.functions.accept_owner(), bob)  # once
    evm.send(contract.functions.anchor(2, ROOT), bob)


@pytest.mark.slow
def test_a_proposal_is_taken_back(evm: Evm, contract):
    ann, bob = evm.web3.eth.accounts[:2]
    evm.send(contract.functions.propose_owner(bob), ann)
    evm.send(contract.functions.propose_owner(NOBODY), ann)
    with reverts("not proposed"):
        evm.send(contract.functions.accept_owner(), bob)
    assert contract.functions.owner().call() == ann


@pytest.mark.slow
def test_coins_sent_to_the_contract_are_refused(evm: Evm, contract):
    with reverts():
        evm.pay(contract.address, 1)


class AnchorMachine(RuleBasedStateMachine):
    """Anybody calls anything; only the owner's growing states stay, for ever."""

    evm: Evm

    def __init__(self) -> None:
        super().__init__()
        self.contract = self.evm.deploy("anchor")
        self.people = self.evm.web3.eth.accounts[:3]
        self.owner, self.proposed = self.people[0], NOBODY
        self.kept: list[tuple[int, bytes]] = []

    @rule(size=st.integers(0, 40), root=st.binary(min_size=32, max_size=32), by=st.integers(0, 2))
    def anchor(self, size: int, root: bytes, by: int) -> None:
        newest = self.kept[-1][0] if self.kept else 0
        allowed = self.people[by] == self.owner and size > newest and root != bytes(32)
        if self._call(self.contract.functions.anchor(size, root), self.people[by], allowed):
            self.kept.append((size, root))

    @rule(whom=st.integers(0, 2), by=st.integers(0, 2))
    def propose(self, whom: int, by: int) -> None:
        call = self.contract.functions.propose_owner(self.people[whom])
        if self._call(call, self.people[by], self.people[by] == self.owner):
            self.proposed = self.people[whom]

    @rule(by=st.integers(0, 2))
    def accept(self, by: int) -> None:
        allowed = self.people[by] == self.proposed
        if self._call(self.contract.functions.accept_owner(), self.people[by], allowed):
            self.owner, self.proposed = self.people[by], NOBODY

    @precondition(lambda self: self.kept)
    @rule(size=st.integers(0, 40))
    def look(self, size: int) -> None:
        expected = next((each for each in self.kept if each[0] >= size), (0, bytes(32)))
        assert self.contract.functions.first_from(size).call() == expected

    @invariant()
    def is_as_kept(self) -> None:
        functions = self.contract.functions
        assert functions.count().call() == len(self.kept)
        assert functions.newest().call() == (self.kept[-1] if self.kept else (0, bytes(32)))
        assert functions.owner().call() == self.owner
        assert all(one[0] < two[0] for one, two in pairwise(self.kept))

    def _call(self, call, by: str, allowed: bool) -> bool:
        if allowed:
            self.evm.send(call, by)
        else:
            with reverts():
                self.evm.send(call, by)
        return allowed


@pytest.mark.slow
def test_whatever_is_called_only_the_owners_growing_states_stay(evm: Evm):
    AnchorMachine.evm = evm
    AnchorMachine.TestCase.settings = settings(
        max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    AnchorMachine.TestCase().runTest()
