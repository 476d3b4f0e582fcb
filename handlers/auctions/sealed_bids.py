"""Sealed bids between the rules and the tables: encrypted when placed, opened at the end. Rules: sealed_rules.py.

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
from handlers.auctions.locking import AuctionTerms, LockedAuction
from handlers.auctions.rules import reserve_met
from handlers.contract import Call, Event, Stores
from protocols.auctions.audits import commitment_of
from protocols.auctions.commands import BidReceipt, PlaceBid
from protocols.auctions.events import BidOpening, BidPlaced, BidsOpened
from protocols.values import new_id, to_timestamp
from storage.auctions import sealed_postgres
from storage.auctions.sealed_postgres import EncryptedBidRow, Pair
from storage.platform.vault import KEY_BYTES, Vault, VaultError, decrypt, encrypt

AMOUNT_BYTES = 8
NONCE_BYTES = 32
"""Bytes of a bid's nonce: nobody tries out amounts against a commitment."""

_log = structlog.get_logger()


def new_sealed_key(vault: Vault, auction_id: UUID) -> bytes:
    """Return a new auction's key as its row keeps it."""
    return vault.encrypt(os.urandom(KEY_BYTES), _key_context(auction_id))


def _key_context(auction_id: UUID) -> bytes:
    return b"auction" + auction_id.bytes


def _bid_context(auction_id: UUID, bid_id: UUID, bidder_id: UUID) -> bytes:
    return auction_id.bytes + bid_id.bytes + bidder_id.bytes


def _cipher(terms: AuctionTerms, vault: Vault) -> AESGCM:
    if terms.cipher is None:
        assert terms.sealed_key is not None, "a sealed auction has a key"
        terms.cipher = AESGCM(vault.decrypt(terms.sealed_key, _key_context(terms.auction_id)))
    return terms.cipher


class SealedBidBatch:
    """The sealed bids of one batch."""

    def __init__(self, vault: Vault | None, bidders: set[Pair]) -> None:
        """Start from the pairs that have a bid already; the vault is needed for auctions with sealed bids."""
        self._vault = vault
        self._bidders = bidders
        self._rows: list[tuple[object, ...]] = []

    def add_bid(self, auction: LockedAuction, call: Call[PlaceBid]) -> tuple[BidReceipt, Event]:
        """Encrypt one bid. Raises the refusals of `seal`, and then has changed nothing."""
        assert self._vault is not None, "a batch with sealed auctions has a vault"
        terms, bidder, amount = auction.terms, call.caller.id, call.command.amount
        pair = (terms.auction_id, bidder)
        replaces = pair in self._bidders
        auction.state = state = seal(terms.sale, auction.state, bidder, amount, call.at_ms, replaces=replaces)
        self._bidders.add(pair)
        bid_id, nonce, mask = new_id(), os.urandom(NONCE_BYTES), terms.mask(bidder)
        quantity = call.command.quantity if terms.sale.quantity > 1 else None
        commitment = commitment_of(terms.auction_id, mask, amount, nonce.hex(), quantity)
        context = _bid_context(terms.auction_id, bid_id, bidder)
        plain = amount.to_bytes(AMOUNT_BYTES, "big") + nonce + bytes([quantity or 1])
        encrypted = encrypt(_cipher(terms, self._vault), plain, context)
        number, ends_at = state.event_number, to_timestamp(state.ends_at_ms)
        self._rows.append(
            (terms.auction_id, number, bid_id, bidder, call.at_ms, bytes.fromhex(commitment), encrypted)
        )
        placed = BidPlaced(
            bid_id=bid_id,
            bidder=mask,
            price=state.price,
            minimum_bid=state.minimum_bid,
            leader=None,
            bid_count=state.bid_count,
            reserve_met=reserve_met(terms.sale, state),
            ends_at=ends_at,
            commitment=commitment,
        )
        receipt = BidReceipt(
            bid_id=bid_id,
            offset=number,
            outcome="sealed",
            price=state.price,
            minimum_bid=state.minimum_bid,
            ends_at=ends_at,
            commitment=commitment,
            nonce=nonce.hex(),
        )
        return receipt, Event(terms.channel, "bid_placed", placed, number)

    async def write(self, stores: Stores) -> None:
        """Write the bids that were added. Cost: one round trip if any."""
        await sealed_postgres.insert_sealed_bids(stores.db, self._rows)


async def read_sealed_batch(
    stores: Stores, auctions: Mapping[UUID, LockedAuction], calls: Iterable[Call[PlaceBid]]
) -> SealedBidBatch:
    """Return a batch that knows who has bid before. Cost: one round trip with sealed auctions, none without."""
    sealed = {i for i, auction in auctions.items() if auction.terms.rules.bid_mechanism == "sealed"}
    if not sealed:
        return SealedBidBatch(None, set())
    pairs = {(c.command.auction_id, c.caller.id) for c in calls if c.command.auction_id in sealed}
    return SealedBidBatch(stores.need(Vault), await sealed_postgres.find_bidders(stores.db, pairs))


class DecryptedBid(Struct, frozen=True, kw_only=True):
    """A standing bid with all that was hidden."""

    bid: OpenedBid
    bid_id: UUID
    nonce: bytes


async def decrypt_bids(stores: Stores, auctions: Iterable[LockedAuction]) -> dict[UUID, list[DecryptedBid]]:
    """Return the standing bids of sealed auctions, decrypted, by number. Cost: one round trip, 5 µs a bid.

    An auction with a bid that cannot be decrypted (it was changed, or the master key is another one) is left out.
    """
    terms = {auction.terms.auction_id: auction.terms for auction in auctions}
    if not terms:
        return {}
    found: dict[UUID, list[DecryptedBid]] = {auction_id: [] for auction_id in terms}
    for row in await sealed_postgres.read_standing(stores.db, terms):
        if row.auction_id not in found:
            continue
        try:
            found[row.auction_id].append(_decrypt(terms[row.auction_id], row, stores.need(Vault)))
        except VaultError as error:
            del found[row.auction_id]
            _log.error("sealed_bid_does_not_open", auction=str(row.auction_id), why=str(error))
    return found


def _decrypt(terms: AuctionTerms, row: EncryptedBidRow, vault: Vault) -> DecryptedBid:
    """Return one bid in the clear. Raises VaultError."""
    context = _bid_context(terms.auction_id, row.bid_id, row.bidder_id)
    plain = decrypt(_cipher(terms, vault), row.closed, context)
    amount = int.from_bytes(plain[:AMOUNT_BYTES], "big")
    nonce, quantity = plain[AMOUNT_BYTES : AMOUNT_BYTES + NONCE_BYTES], plain[AMOUNT_BYTES + NONCE_BYTES :]
    asked = quantity[0] if quantity else 1  # bids from before there were auctions of several units have none
    bid = OpenedBid(number=row.number, bidder_id=row.bidder_id, amount=amount, quantity=asked)
    return DecryptedBid(bid=bid, bid_id=row.bid_id, nonce=nonce)


async def write_decrypted(stores: Stores, decrypted: Mapping[UUID, Sequence[DecryptedBid]]) -> None:
    """Write amounts and nonces in the clear: they are public now. Cost: one round trip if any."""
    await sealed_postgres.open_bids(
        stores.db,
        [
            (i, one.bid.number, one.bid.amount, one.nonce, one.bid.quantity)
            for i, bids in decrypted.items()
            for one in bids
        ],
    )


def end_sealed_auction(auction: LockedAuction, bids: Sequence[DecryptedBid]) -> list[Event]:
    """End a sealed auction: decide it, and return the events that open its bids."""
    terms, before = auction.terms, auction.state
    auction.state = open_bids(terms.sale, before, [one.bid for one in bids])
    events = []
    for start in range(0, len(bids), OPENINGS_CHUNK):
        chunk = bids[start : start + OPENINGS_CHUNK]
        opened = BidsOpened(
            openings=[_to_opening(terms, one) for one in chunk],
            reserve_price=terms.sale.reserve_price,
            remaining=len(bids) - start - len(chunk),
        )
        number = before.event_number + 1 + start // OPENINGS_CHUNK
        events.append(Event(terms.channel, "bids_opened", opened, number))
    return events


def _to_opening(terms: AuctionTerms, decrypted: DecryptedBid) -> BidOpening:
    bid = decrypted.bid
    return BidOpening(
        offset=bid.number,
        bid_id=decrypted.bid_id,
        bidder=terms.mask(bid.bidder_id),
        amount=bid.amount,
        nonce=decrypted.nonce.hex(),
        quantity=bid.quantity if terms.sale.quantity > 1 else None,
    )
