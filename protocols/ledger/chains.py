"""What is said about a chain: where a contract is, what a transaction may cost, what became of one."""

import re
from dataclasses import dataclass
from typing import Literal

CHAIN_ID_MAX = 2**53 - 1

WEI_MAX = 2**96 - 1
"""More than all coins of any chain; what a node says beyond it is no amount."""

Problem = Literal[
    "unreachable",
    "bad_answer",
    "refused",
    "wrong_chain",
    "no_contract",
    "not_owner",
    "chain_ahead",
    "no_funds",
    "fee_too_high",
]
"""Why anchoring does not go on. The list with what to do is in docs/ledger.md."""

_PLACE = re.compile(r"eip155:([1-9][0-9]{0,15}):(0x[0-9a-fA-F]{40})")


@dataclass(frozen=True, slots=True)
class Place:
    """A contract on a chain."""

    chain_id: int
    address: str
    """In hexadecimal, lower case, as nodes understand it in any case."""

    def __str__(self) -> str:
        """Return it as CAIP-10 writes it."""
        return f"eip155:{self.chain_id}:{self.address}"


def parse_place(text: str) -> Place:
    """Return the contract that a CAIP-10 account id names: `eip155:1:0x…`. Raises ValueError. Cost: linear."""
    found = _PLACE.fullmatch(text)
    if found is None or int(found[1]) > CHAIN_ID_MAX:
        raise ValueError(
            "must be eip155:CHAIN:ADDRESS, with the chain's number and 0x with 40 hexadecimal digits"
        )
    return Place(int(found[1]), found[2].lower())


@dataclass(frozen=True, slots=True)
class Fees:
    """What a unit of gas may cost at most, in wei, and what of it is for the block's maker (EIP-1559)."""

    most: int
    tip: int


@dataclass(frozen=True, slots=True)
class Included:
    """A transaction that is in a block of the chain."""

    transaction: str
    block: int
    succeeded: bool
    """False: it was paid for and reverted."""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What is sent: again and again the same bytes, so it happens once at most."""

    transaction: str
    """Its hash, 0x and 64 digits."""
    raw: bytes
