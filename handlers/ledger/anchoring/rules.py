"""When a state of the log is sent to a chain, sent again for more, and taken for final: by values alone.

One anchor at a time is on its way. What is sent is signed and stored before, so whatever dies when, the next turn knows
every hash that may turn up in a block. A replacement has the nonce of what it replaces: one of them happens at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from protocols.ledger.chains import Fees, Included, Place, Problem

STUCK_MS = 180_000
"""After so long without a place in a block, and blocks have come meanwhile, more is offered."""

LOOK_MS = 5_000
"""Between two looks at an anchor that is on its way."""

CONFIRMATIONS = 64
"""Blocks after which one counts as final where the node does not say which are: two epochs of Ethereum."""

FRUITLESS = 10
"""Offering more than so many times what the chain asks for does not help."""

FailReason = Literal["reverted", "nonce_taken", "nonce_gap", "vanished", "other_contract"]


@dataclass(frozen=True, slots=True)
class Tree:
    """A state of the log."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """A transaction that was signed for an anchor."""

    transaction: str
    raw: bytes
    fees: Fees
    at_ms: int


@dataclass(frozen=True, slots=True)
class Open:
    """The anchor that is on its way; its sends in their order, at least one."""

    anchor_id: int
    tree: Tree
    place: Place
    nonce: int
    sends: Sequence[Send]
    block: int | None
    """Where it was seen last."""
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class Done:
    """The newest anchor that counted as final."""

    anchor_id: int
    tree: Tree
    place: Place
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class State:
    """What we know ourselves."""

    newest: Tree | None
    open: Open | None
    done: Done | None
    looked_at_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a node says."""

    head: int
    """The number of its newest block."""
    head_at_ms: int
    final: int
    """The number of the newest block that cannot vanish any more."""
    nonce: int
    """How many transactions of our key are in blocks, which is the next one's nonce."""
    final_nonce: int
    """The same, in blocks that are final."""
    included: Included | None
    """That of our sends which is in a block."""
    asked: Fees
    """What a transaction should offer now."""
    balance: int
    gas: int
    """What an anchor takes at most."""
    owned: bool
    """Whether the contract is our key's."""
    chain_size: int
    """The newest size in the contract; 0 before the first."""
    chain_root: bytes | None
    """The root that the contract has for the tree that is, or would be, sent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator set."""

    place: Place
    interval_ms: int
    fee_max: int
    """Wei for a unit of gas."""


# -- what to do ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing has changed."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Sign a first transaction for a tree."""

    tree: Tree
    nonce: int
    fees: Fees


@dataclass(frozen=True, slots=True)
class Replace:
    """Sign one more with the same nonce, for more."""

    fees: Fees


@dataclass(frozen=True, slots=True)
class Include:
    """It is in a block, or in another one than before; not final yet."""

    included: Included


@dataclass(frozen=True, slots=True)
class Vanish:
    """The block it was in is not in the chain any more: it waits for a place again."""


@dataclass(frozen=True, slots=True)
class Finish:
    """It stays. Without `included`: somebody else with our key wrote it, so its transaction is not known."""

    included: Included | None


@dataclass(frozen=True, slots=True)
class Adopt:
    """The tree is in the contract already, although nothing here knows that it was sent: a restored backup."""

    tree: Tree


@dataclass(frozen=True, slots=True)
class Fail:
    """The anchor, on its way or final, is not there and will not be; another is begun."""

    anchor_id: int
    reason: FailReason


Step = Wait | Begin | Replace | Include | Vanish | Finish | Adopt | Fail


def next_tree(state: State, limits: Limits, now_ms: int) -> Tree | None:
    """Return what is to be sent next, when nothing is on its way and the interval is over."""
    newest, done = state.newest, state.done
    if state.open is not None or newest is None or newest.size == 0:
        return None
    if done is None or done.place != limits.place:
        return newest
    if newest.size <= done.tree.size or now_ms < done.started_at_ms + limits.interval_ms:
        return None
    return newest


def is_look_due(state: State, limits: Limits, now_ms: int) -> bool:
    """Whether the node should be asked now."""
    if state.open is None:
        return next_tree(state, limits, now_ms) is not None
    return state.open.changed_at_ms > state.looked_at_ms or now_ms >= state.looked_at_ms + LOOK_MS


def decide(state: State, seen: Seen, limits: Limits, now_ms: int) -> Step | Problem:
    """Return the next step, or what stands in its way."""
    if state.open is not None:
        return _follow(state.open, seen, limits, now_ms)
    tree = next_tree(state, limits, now_ms)
    if tree is None:
        return Wait()
    done = state.done
    if done is not None and done.place == limits.place and seen.chain_size < done.tree.size:
        return Fail(done.anchor_id, "vanished")
    if seen.chain_root == tree.root:
        return Adopt(tree)
    if not seen.owned:
        return "not_owner"
    if seen.chain_size >= tree.size:
        return "chain_ahead"
    if seen.asked.most > limits.fee_max:
        return "fee_too_high"
    if seen.balance < seen.asked.most * seen.gas:
        return "no_funds"
    return Begin(tree, seen.nonce, seen.asked)


def _follow(anchor: Open, seen: Seen, limits: Limits, now_ms: int) -> Step:
    if anchor.place != limits.place:
        return Fail(anchor.anchor_id, "other_contract")
    included = seen.included
    if included is None:
        return _look_for(anchor, seen, limits, now_ms)
    if included.block > seen.final:
        return Wait() if included.block == anchor.block else Include(included)
    return Finish(included) if included.succeeded else Fail(anchor.anchor_id, "reverted")


def _look_for(anchor: Open, seen: Seen, limits: Limits, now_ms: int) -> Step:
    """Decide about an anchor of which no transaction is in a block."""
    if anchor.block is not None:
        return Vanish()
    if seen.final_nonce > anchor.nonce:  # something else took its place for good
        return Finish(None) if seen.chain_root == anchor.tree.root else Fail(anchor.anchor_id, "nonce_taken")
    if seen.nonce > anchor.nonce:
        return Wait()
    last = anchor.sends[-1]
    since_ms = max(last.at_ms, anchor.changed_at_ms)  # it may have been in a block that vanished
    stuck = now_ms >= since_ms + STUCK_MS and seen.head_at_ms > since_ms
    if (
        stuck and seen.nonce < anchor.nonce
    ):  # those before it are gone with their blocks, or a node lied about them
        return Fail(anchor.anchor_id, "nonce_gap")
    fees = raise_fees(last.fees, seen.asked)
    if not stuck or fees.most > limits.fee_max or last.fees.most >= FRUITLESS * seen.asked.most:
        return Wait()
    return Replace(fees)


def raise_fees(offered: Fees, asked: Fees) -> Fees:
    """Return what a replacement offers: what is asked, and an eighth more than before, which every node takes."""
    return Fees(max(asked.most, _eighth_more(offered.most)), max(asked.tip, _eighth_more(offered.tip)))


def _eighth_more(amount: int) -> int:
    return amount + amount // 8 + 1
