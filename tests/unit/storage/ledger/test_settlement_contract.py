"""The contract that pays on hand-over, on py-evm."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.contracts import compile_source
from tests.support.evm import NOBODY, Evm, reverts
from tests.support.tokens import SOURCES

pytestmark = pytest.mark.slow

ORDER, ITEM = b"\x0a" * 32, b"\x0b" * 32
DAY = 86_400
AMOUNT = 1_000


class Scene:
    """A buyer, a seller, a traveller, an arbiter, a stranger, and the contract."""

    def __init__(self, evm: Evm) -> None:
        self.evm = evm
        self.buyer, self.traveller, self.arbiter, self.stranger = (
            evm.person(seed) for seed in range(101, 105)
        )
        self.seller = evm.web3.eth.accounts[4]
        self.contract = evm.deploy("settlement", self.arbiter.address)
        self.functions = self.contract.functions
        self.token = evm.deploy_compiled(compile_source(SOURCES / "token.vy"))

    def fund(self, token: str = NOBODY, **changed: Any) -> int:
        """Fund a deal; return its nonce. Raises TransactionFailed."""
        fields = {
            "order": ORDER,
            "item_hash": ITEM,
            "seller": self.seller,
            "traveller": self.traveller.address,
            "token": token,
            "amount": AMOUNT,
            "deadline": self.evm.now + DAY,
        } | changed
        value = fields.pop("value", fields["amount"] if token == NOBODY else 0)
        by = fields.pop("by", self.buyer.address)
        self.evm.send(self.functions.fund(*fields.values()), by, value)
        return self.functions.nonces().call()

    def sign(self, who: Any, nonce: int, seller: int, traveller: int, **changed: Any) -> bytes:
        """Sign as a wallet does, from typed data."""
        kind = changed.pop("kind", "Handover")
        domain = {
            "name": "Mnbara settlement",
            "version": "1",
            "chainId": self.evm.web3.eth.chain_id,
            "verifyingContract": self.contract.address,
        } | changed.pop("domain", {})
        message = {
            "order": ORDER,
            "itemHash": ITEM,
            "nonce": nonce,
            "sellerAmount": seller,
            "travellerAmount": traveller,
        } | changed
        types = {
            kind: [
                {"name": "order", "type": "bytes32"},
                {"name": "itemHash", "type": "bytes32"},
                {"name": "nonce", "type": "uint256"},
                {"name": "sellerAmount", "type": "uint256"},
                {"name": "travellerAmount", "type": "uint256"},
            ]
        }
        return bytes(who.sign_typed_data(domain, types, message).signature)

    def settle(
        self, nonce: int, seller: int, traveller: int, by_traveller: bytes = b"", by_buyer: bytes = b""
    ) -> Any:
        by_traveller = by_traveller or self.sign(self.traveller, nonce, seller, traveller)
        by_buyer = by_buyer or self.sign(self.buyer, nonce, seller, traveller)
        call = self.functions.settle(nonce, seller, traveller, by_traveller, by_buyer)
        return self.evm.send(call, self.stranger.address)

    def rule(self, nonce: int, seller: int, traveller: int, signature: bytes = b"") -> Any:
        signature = signature or self.sign(self.arbiter, nonce, seller, traveller, kind="Ruling")
        return self.evm.send(self.functions.rule(nonce, seller, traveller, signature), self.stranger.address)

    def credits(self, token: str = NOBODY) -> tuple[int, int, int]:
        """What is credited to seller, traveller and buyer."""
        people = (self.seller, self.traveller.address, self.buyer.address)
        seller, traveller, buyer = (self.functions.balances(token, person).call() for person in people)
        return seller, traveller, buyer


@pytest.fixture(scope="module")
def evm() -> Evm:
    return Evm()


@pytest.fixture
def scene(evm: Evm) -> Scene:
    return Scene(evm)


def test_both_signatures_share_the_money_out_and_everybody_withdraws(scene: Scene):
    nonce = scene.fund()
    receipt = scene.settle(nonce, 700, 250)
    (event,) = scene.contract.events.Settled().process_receipt(receipt)
    assert event["args"] == {
        "nonce": nonce,
        "seller_amount": 700,
        "traveller_amount": 250,
        "buyer_amount": 50,
        "by_arbiter": False,
    }
    assert scene.credits() == (700, 250, 50)
    before = scene.evm.web3.eth.get_balance(scene.contract.address)
    assert before == AMOUNT
    for person in (scene.seller, scene.traveller.address, scene.buyer.address):
        scene.evm.send(scene.functions.withdraw(NOBODY), person)
    assert scene.credits() == (0, 0, 0)
    assert scene.evm.web3.eth.get_balance(scene.contract.address) == 0
    with reverts("nothing to withdraw"):
        scene.evm.send(scene.functions.withdraw(NOBODY), scene.seller)


def test_what_is_signed_is_the_typed_data_that_wallets_show(scene: Scene):
    from eth_account import Account

    nonce = scene.fund()
    for kind, by_arbiter in (("Handover", False), ("Ruling", True)):
        signature = scene.sign(scene.buyer, nonce, 1, 2, kind=kind)
        digest = scene.functions.digest(nonce, 1, 2, by_arbiter).call()
        assert Account._recover_hash(digest, signature=signature) == scene.buyer.address
    with reverts("deal is unknown"):
        scene.functions.digest(nonce + 1, 1, 2, False).call()


def test_no_other_signatures_move_the_money(scene: Scene):
    nonce = scene.fund()
    good = (700, 250)
    other = scene.evm.deploy("settlement", scene.arbiter.address).address
    traveller, buyer = "not signed by the traveller", "not signed by the buyer"
    for reason, signatures in {
        traveller: (
            {"by_traveller": scene.sign(scene.stranger, nonce, *good)},
            {"by_traveller": scene.sign(scene.buyer, nonce, *good)},
            {"by_traveller": scene.sign(scene.arbiter, nonce, *good)},
            {"by_traveller": scene.sign(scene.traveller, nonce, 699, 250)},
            {"by_traveller": scene.sign(scene.traveller, nonce, 700, 249)},
            {"by_traveller": scene.sign(scene.traveller, nonce + 1, *good)},
            {"by_traveller": scene.sign(scene.traveller, nonce, *good, order=ITEM)},
            {"by_traveller": scene.sign(scene.traveller, nonce, *good, itemHash=ORDER)},
            {"by_traveller": scene.sign(scene.traveller, nonce, *good, kind="Ruling")},
            {"by_traveller": scene.sign(scene.traveller, nonce, *good, domain={"chainId": 1})},
            {"by_traveller": scene.sign(scene.traveller, nonce, *good, domain={"verifyingContract": other})},
            {"by_traveller": scene.sign(scene.traveller, nonce, *good, domain={"version": "2"})},
            {"by_traveller": bytes(65)},
        ),
        buyer: (
            {"by_buyer": scene.sign(scene.traveller, nonce, *good)},
            {"by_buyer": scene.sign(scene.buyer, nonce, 700, 251)},
            {"by_buyer": b"\xff" * 65},
        ),
        "not a signature": ({"by_buyer": b"\x01" * 64}, {"by_traveller": b"\x01"}),
    }.items():
        for each in signatures:
            with reverts(reason):
                scene.settle(nonce, *good, **each)
    assert scene.credits() == (0, 0, 0)
    scene.settle(nonce, *good)


def test_a_deal_pays_once_whoever_brings_what_again(scene: Scene):
    first, second = scene.fund(), scene.fund()
    by_traveller, by_buyer = (scene.sign(who, first, 700, 250) for who in (scene.traveller, scene.buyer))
    scene.settle(first, 700, 250, by_traveller=by_traveller, by_buyer=by_buyer)
    with reverts("deal is closed"):
        scene.settle(first, 700, 250, by_traveller=by_traveller, by_buyer=by_buyer)
    with reverts("not signed by the traveller"):  # of the same order, funded again
        scene.settle(second, 700, 250, by_traveller=by_traveller, by_buyer=by_buyer)
    with reverts("deal is closed"):
        scene.rule(first, 1, 1)
    scene.rule(second, 10, 20)
    with reverts("deal is closed"):
        scene.rule(second, 10, 20)
    scene.evm.travel(scene.evm.now + 2 * DAY)
    for nonce in (first, second):
        with reverts("deal is closed"):
            scene.evm.send(scene.functions.refund(nonce), scene.buyer.address)
    assert scene.credits() == (710, 270, 50 + 970)


def test_nobody_shares_out_more_than_was_funded(scene: Scene):
    nonce = scene.fund()
    for amounts in ((AMOUNT + 1, 0), (0, AMOUNT + 1), (600, 401), (2**256 - 1, 1), (1, 2**256 - 1)):
        with reverts("more than was funded"):
            scene.settle(nonce, *amounts)
        with reverts("more than was funded"):
            scene.rule(nonce, *amounts)
    scene.settle(nonce, AMOUNT, 0)


def test_the_arbiter_decides_before_and_after_the_deadline(scene: Scene):
    early, late = scene.fund(), scene.fund()
    receipt = scene.rule(early, 0, 0)
    assert scene.contract.events.Settled().process_receipt(receipt)[0]["args"]["by_arbiter"] is True
    assert scene.credits() == (0, 0, AMOUNT)
    for signature in (
        scene.sign(scene.arbiter, late, 1, 1),  # a hand-over is no ruling
        scene.sign(scene.buyer, late, 1, 1, kind="Ruling"),
        bytes(65),
    ):
        with reverts("not signed by the arbiter"):
            scene.rule(late, 1, 1, signature)
    scene.evm.travel(scene.evm.now + 2 * DAY)
    scene.rule(late, 1, 1)


def test_the_buyer_gets_all_back_after_the_deadline_not_before(scene: Scene):
    nonce = scene.fund()
    with reverts("before the deadline"):
        scene.evm.send(scene.functions.refund(nonce), scene.buyer.address)
    with reverts("deal is unknown"):
        scene.evm.send(scene.functions.refund(nonce + 1), scene.buyer.address)
    scene.evm.travel(scene.evm.now + DAY + 10)
    receipt = scene.evm.send(scene.functions.refund(nonce), scene.stranger.address)
    assert scene.contract.events.Refunded().process_receipt(receipt)[0]["args"]["buyer_amount"] == AMOUNT
    assert scene.credits() == (0, 0, AMOUNT)
    with reverts("deal is closed"):
        scene.settle(nonce, 700, 250)


def test_a_deal_that_cannot_be_kept_is_not_funded(scene: Scene):
    for changed, reason in (
        ({"seller": NOBODY}, "no payee"),
        ({"traveller": NOBODY}, "no payee"),
        ({"traveller": scene.buyer.address}, "one person on both sides"),
        ({"amount": 0}, "no money"),
        ({"deadline": scene.evm.now}, "deadline has passed"),
        ({"value": AMOUNT - 1}, "other amount sent"),
        ({"value": AMOUNT + 1}, "other amount sent"),
        ({"token": scene.token.address, "value": 1}, "coin sent for a token"),
        ({"token": scene.token.address}, "execution reverted"),  # nothing was approved
    ):
        with reverts(reason):
            scene.fund(**changed)
    assert scene.functions.nonces().call() == 0
    with reverts("no arbiter"):
        scene.evm.deploy("settlement", NOBODY)
    with reverts():
        scene.evm.pay(scene.contract.address, 1)


def test_tokens_are_paid_as_coins_are(scene: Scene):
    token = scene.token.address
    scene.evm.send(scene.token.functions.mint(scene.buyer.address, AMOUNT), scene.evm.rich)
    scene.evm.send(scene.token.functions.approve(scene.contract.address, AMOUNT), scene.buyer.address)
    nonce = scene.fund(token)
    scene.settle(nonce, 700, 250)
    assert (scene.credits(token), scene.credits()) == ((700, 250, 50), (0, 0, 0))
    with reverts("nothing to withdraw"):  # no coins for tokens
        scene.evm.send(scene.functions.withdraw(NOBODY), scene.seller)
    scene.evm.send(scene.functions.withdraw(token), scene.seller)
    assert scene.token.functions.balanceOf(scene.seller).call() == 700


def test_a_token_that_keeps_a_part_or_refuses_funds_nothing(scene: Scene):
    for name, reason in (("taxed", "other amount arrived"), ("refusing", "transfer refused")):
        token = scene.evm.deploy_compiled(compile_source(SOURCES / f"{name}.vy"))
        with reverts(reason):
            scene.fund(token.address)
    assert scene.functions.nonces().call() == 0


def test_who_is_paid_cannot_come_back_in_meanwhile(scene: Scene):
    thief = scene.evm.deploy_compiled(compile_source(SOURCES / "thief.vy"), scene.contract.address)
    honest, robbed = scene.fund(), scene.fund(seller=thief.address)
    scene.settle(robbed, 400, 0)
    scene.settle(honest, 700, 0)
    with reverts():
        scene.evm.send(thief.functions.rob(), scene.stranger.address)
    assert scene.evm.web3.eth.get_balance(thief.address) == 0
    scene.evm.send(thief.functions.take(), scene.stranger.address)  # what is its own it can have
    assert scene.evm.web3.eth.get_balance(thief.address) == 400


class SettlementMachine(RuleBasedStateMachine):
    """Whatever is called in whatever order, what is credited and paid is what was funded, and no more."""

    evm: Evm

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(self.evm)
        self.open: dict[int, int] = {}
        self.closed: list[int] = []
        self.funded = self.paid = 0

    @rule(amount=st.integers(1, 1_000))
    def fund(self, amount: int) -> None:
        self.open[self.scene.fund(amount=amount)] = self.scene.evm.now
        self.funded += amount

    @rule(
        data=st.data(), seller=st.integers(0, 1_100), traveller=st.integers(0, 1_100), arbiter=st.booleans()
    )
    def close(self, data: st.DataObject, seller: int, traveller: int, arbiter: bool) -> None:
        nonce = data.draw(st.sampled_from([*self.open, *self.closed, 99]))
        amount = self.scene.functions.deals(nonce).call()[6]
        act = self.scene.rule if arbiter else self.scene.settle
        self._end(nonce, nonce in self.open and seller + traveller <= amount, act, nonce, seller, traveller)

    @rule(data=st.data(), late=st.booleans())
    def refund(self, data: st.DataObject, late: bool) -> None:
        nonce = data.draw(st.sampled_from([*self.open, *self.closed, 99]))
        if late:
            self.scene.evm.travel(self.scene.evm.now + DAY + 10)
        passed = self.scene.evm.now > self.scene.functions.deals(nonce).call()[7]
        call = self.scene.functions.refund(nonce)
        self._end(
            nonce, nonce in self.open and passed, self.scene.evm.send, call, self.scene.stranger.address
        )

    @rule(who=st.integers(0, 3))
    def withdraw(self, who: int) -> None:
        scene = self.scene
        person = (scene.seller, scene.traveller.address, scene.buyer.address, scene.stranger.address)[who]
        credit = scene.functions.balances(NOBODY, person).call()
        if credit:
            scene.evm.send(scene.functions.withdraw(NOBODY), person)
            self.paid += credit
        else:
            with reverts("nothing to withdraw"):
                scene.evm.send(scene.functions.withdraw(NOBODY), person)

    @invariant()
    def holds_what_it_owes(self) -> None:
        functions = self.scene.functions
        held = self.evm.web3.eth.get_balance(self.scene.contract.address)
        put_aside = sum(functions.deals(nonce).call()[6] for nonce in self.open)
        assert held == self.funded - self.paid == put_aside + sum(self.scene.credits())
        assert self.paid <= self.funded

    def _end(self, nonce: int, allowed: bool, act, *args) -> None:
        if not allowed:
            with reverts():
                act(*args)
            return
        act(*args)
        del self.open[nonce]
        self.closed.append(nonce)


def test_whatever_is_called_the_contract_pays_what_was_funded_and_no_more(evm: Evm):
    SettlementMachine.evm = evm
    SettlementMachine.TestCase.settings = settings(
        max_examples=5, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    SettlementMachine.TestCase().runTest()
