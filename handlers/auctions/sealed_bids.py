"""Sealed bids between the rules and the tables: closed when placed, opened at the end. Rules: sealed_rules.py.

Every auction has a key of its own, kept encrypted with the vault's; a bid's amount and nonce are encrypted with it.
What the public sees of a bid is its commitment.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from handlers.auctions.formats.sealed_rules import OPENINGS_CHUNK, OpenedBid, open_bids, seal
from handlers.auctions.locking import Held, Lot
from handlers.auctions.rules import reserve_met
from handlers.contract import Call, Event, Latest, Outcome, Stores
from protocols.auctions.audits import commitment_of
from protocols.auctions.commands import BidReceipt, PlaceBid
from protocols.auctions.events import BidOpening, BidPlaced, BidsOpened
from protocols.values import new_id, to_timestamp
from storage.auctions import sealed_postgres
from storage.auctions.auctions_postgres import Row
from storage.auctions.sealed_postgres import Pair
from storage.platform.vault import KEY_BYTES, Vault, VaultError, decrypt, encrypt

AMOUNT_BYTES = 8
SECRET_BYTES = 32
"""Bytes of a bid's nonce: nobody tries out amounts against a commitment."""

_log = structlog.get_logger()


def new_sealed_key(vault: Vault, auction_id: UUID) -> bytes:
    """Return a new auction's key as its row keeps it."""
    return vault.encrypt(os.urandom(KEY_BYTES), _key_context(auction_id))


def _key_context(auction_id: UUID) -> bytes:
    return b"auction" + auction_id.bytes


def _bid_context(auction_id: UUID, bid_id: UUID, bidder_id: UUID) -> bytes:
    return auction_id.bytes + bid_id.bytes + bidder_id.bytes


def _cipher(lot: Lot, vault: Vault) -> AESGCM:
    if lot.cipher is None:
        assert lot.sealed_key is not None, "a sealed auction has a key"
        lot.cipher = AESGCM(vault.decrypt(lot.sealed_key, _key_context(lot.auction_id)))
    return lot.cipher


class SealedBook:
    """The sealed bids of one batch."""

    def __init__(self, vault: Vault | None, bidders: set[Pair]) -> None:
        """Take who has a bid already."""
        self._vault = vault
        self._bidders = bidders
        self._rows: list[tuple[object, ...]] = []

    def place(self, held: Held, call: Call[PlaceBid], latest: Sequence[Latest]) -> Outcome:
        """Close one bid. Raises the refusals of `seal`, and then has changed nothing."""
        assert self._vault is not None, "the book was opened with one"
        lot, bidder, amount = held.lot, call.caller.id, call.command.amount
        pair = (lot.auction_id, bidder)
        state = seal(lot.terms, held.state, bidder, amount, call.at_ms, replaces=pair in self._bidders)
        held.state = state
        self._bidders.add(pair)
        bid_id, secret, mask = new_id(), os.urandom(SECRET_BYTES), lot.mask(bidder)
        quantity = call.command.quantity if lot.terms.quantity > 1 else None
        commitment = commitment_of(lot.auction_id, mask, amount, secret.hex(), quantity)
        context = _bid_context(lot.auction_id, bid_id, bidder)
        plain = amount.to_bytes(AMOUNT_BYTES, "big") + secret + bytes([quantity or 1])
        closed = encrypt(_cipher(lot, self._vault), plain, context)
        number, ends_at = state.event_number, to_timestamp(state.ends_at_ms)
        self._rows.append(
            (lot.auction_id, number, bid_id, bidder, call.at_ms, bytes.fromhex(commitment), closed)
        )
        met = reserve_met(lot.terms, state)
        placed = BidPlaced(
            bid_id, mask, state.price, state.minimum_bid, None, state.bid_count, met, ends_at, commitment
        )
        receipt = BidReceipt(
            bid_id, number, "sealed", state.price, state.minimum_bid, ends_at, commitment, secret.hex()
        )
        return Outcome(receipt, [Event(lot.channel, "bid_placed", placed, number)], latest, secret=True)

    async def write(self, stores: Stores) -> None:
        """Write the bids placed. Cost: one round trip if any."""
        await sealed_postgres.insert_sealed_bids(stores.db, self._rows)


async def open_book(stores: Stores, held: Mapping[UUID, Held], calls: Iterable[Call[PlaceBid]]) -> SealedBook:
    """Return the book for a batch. Cost: one round trip when it has sealed bids, none otherwise."""
    sealed = {auction_id for auction_id, one in held.items() if one.lot.rules.way == "sealed"}
    if not sealed:
        return SealedBook(None, set())
    pairs = {(c.command.auction_id, c.caller.id) for c in calls if c.command.auction_id in sealed}
    return SealedBook(stores.need(Vault), await sealed_postgres.find_bidders(stores.db, pairs))


class Opened(Struct, frozen=True):
    """A standing bid with all that was hidden."""

    bid: OpenedBid
    bid_id: UUID
    secret: bytes


async def read_opened(stores: Stores, held: Iterable[Held]) -> dict[UUID, list[Opened]]:
    """Return the standing bids of sealed auctions, decrypted, by number. Cost: one round trip, 5 µs a bid.

    An auction with a bid that does not open (changed, or the master key is not the one that closed it) is left out.
    """
    lots = {one.lot.auction_id: one.lot for one in held}
    if not lots:
        return {}
    found: dict[UUID, list[Opened]] = {auction_id: [] for auction_id in lots}
    for row in await sealed_postgres.read_standing(stores.db, lots):
        if row["auction_id"] not in found:
            continue
        try:
            found[row["auction_id"]].append(_open(lots[row["auction_id"]], row, stores.need(Vault)))
        except VaultError as error:
            del found[row["auction_id"]]
            _log.error("sealed_bid_does_not_open", auction=str(row["auction_id"]), why=str(error))
    return found


def _open(lot: Lot, row: Row, vault: Vault) -> Opened:
    """Return one bid in the clear. Raises VaultError."""
    _, number, bid_id, bidder_id, closed = row
    plain = decrypt(_cipher(lot, vault), closed, _bid_context(lot.auction_id, bid_id, bidder_id))
    amount = int.from_bytes(plain[:AMOUNT_BYTES], "big")
    secret, quantity = plain[AMOUNT_BYTES : AMOUNT_BYTES + SECRET_BYTES], plain[AMOUNT_BYTES + SECRET_BYTES :]
    asked = quantity[0] if quantity else 1  # bids from before there were lots of several have none
    return Opened(OpenedBid(number, bidder_id, amount, asked), bid_id, secret)


async def write_opened(stores: Stores, opened: Mapping[UUID, Sequence[Opened]]) -> None:
    """Write amounts and nonces in the clear: they are public now. Cost: one round trip if any."""
    await sealed_postgres.open_bids(
        stores.db,
        [
            (i, one.bid.number, one.bid.amount, one.secret, one.bid.quantity)
            for i, bids in opened.items()
            for one in bids
        ],
    )


def open_all(held: Held, bids: Sequence[Opened]) -> list[Event]:
    """End a sealed auction: decide it, and return the events that open its bids."""
    lot, before = held.lot, held.state
    held.state = open_bids(lot.terms, before, [one.bid for one in bids])
    events = []
    for start in range(0, len(bids), OPENINGS_CHUNK):
        chunk = bids[start : start + OPENINGS_CHUNK]
        openings = [_to_opening(lot, one) for one in chunk]
        remaining = len(bids) - start - len(chunk)
        told = BidsOpened(openings, lot.terms.reserve_price, remaining)
        number = before.event_number + 1 + start // OPENINGS_CHUNK
        events.append(Event(lot.channel, "bids_opened", told, number))
    return events


def _to_opening(lot: Lot, opened: Opened) -> BidOpening:
    bid = opened.bid
    quantity = bid.quantity if lot.terms.quantity > 1 else None
    return BidOpening(
        bid.number, opened.bid_id, lot.mask(bid.bidder_id), bid.amount, opened.secret.hex(), quantity
    )
