"""The way into the transparency log: what happened is queued in the transaction in which it happens.

A worker gives the queued leaves their places a moment later (`handlers/ledger/sequencing.py`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from protocols.ledger.leaves import NOBODY, SALT_BYTES, hash_account, hash_ref, hash_user, write_leaf
from protocols.payments.postings import Account, Transfer
from protocols.values import to_timestamp
from storage.engines.postgres import Connection

_COLUMNS = ("leaf", "parties")

OWNED = frozenset({"available", "held", "payable", "receivable"})
"""Purposes of accounts whose owner is a person, who is a party to what moves there."""

Concerned: TypeAlias = Mapping[UUID, Sequence[UUID]]
"""By owner of accounts that are no person's, such as a deal: the people whom it concerns."""
NOBODY_ELSE: Concerned = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What one winner got of an auction, or that nobody got anything."""

    auction_id: UUID
    seller_id: UUID
    outcome: str
    """sold, unsold, cancelled; second_chance for a sale to another bidder afterwards."""
    price_minor: int
    """Of one unit."""
    currency: str
    bid_count: int
    winner_id: UUID | None
    units: int


async def queue_transfers(
    db: Connection, transfers: Sequence[Transfer], now_ms: int, concerned: Concerned = NOBODY_ELSE
) -> None:
    """Queue a leaf for each transfer, in their order. Cost: one round trip (COPY), about 10 us for each."""
    at = to_timestamp(now_ms)
    await _queue(db, [(_transfer_leaf(moved, at), _parties(moved, concerned)) for moved in transfers])


async def queue_settlements(db: Connection, settlements: Sequence[Settlement], now_ms: int) -> None:
    """Queue a leaf for each winner of auctions that are settled. Cost: one round trip (COPY), or none."""
    if settlements:
        at = to_timestamp(now_ms)
        await _queue(db, [(_settlement_leaf(result, at), _sides(result)) for result in settlements])


async def _queue(db: Connection, rows: Sequence[tuple[bytes, list[UUID]]]) -> None:
    await db.copy_records_to_table("ledger_queue", records=rows, columns=_COLUMNS)


def _transfer_leaf(moved: Transfer, at: str) -> bytes:
    salt = os.urandom(SALT_BYTES)
    lines = (
        ("transfer", moved.transfer_id),
        ("debit", _hash(salt, moved.debit)),
        ("credit", _hash(salt, moved.credit)),
        ("amount", moved.amount_minor),
        ("currency", moved.debit.currency),
        ("reason", moved.reason),
        ("ref", hash_ref(salt, moved.ref)),
        ("at", at),
    )
    return write_leaf("transfer", salt, lines)


def _hash(salt: bytes, account: Account) -> str:
    return hash_account(salt, account.owner_id, account.purpose, account.currency)


def _parties(moved: Transfer, concerned: Concerned) -> list[UUID]:
    people: dict[UUID, None] = {}
    for side in (moved.debit, moved.credit):
        people |= dict.fromkeys(
            [side.owner_id] if side.purpose in OWNED else concerned.get(side.owner_id, ())
        )
    return list(people)


def _settlement_leaf(result: Settlement, at: str) -> bytes:
    salt = os.urandom(SALT_BYTES)
    lines = (
        ("auction", result.auction_id),
        ("outcome", result.outcome),
        ("price", result.price_minor),
        ("currency", result.currency),
        ("bids", result.bid_count),
        ("winner", NOBODY if result.winner_id is None else hash_user(salt, result.winner_id)),
        ("units", result.units),
        ("at", at),
    )
    return write_leaf("settlement", salt, lines)


def _sides(result: Settlement) -> list[UUID]:
    return [side for side in (result.seller_id, result.winner_id) if side is not None]
