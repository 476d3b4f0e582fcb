"""Auctions as handlers work with them: terms stay in memory, states are locked and read per transaction."""

from collections import Counter
from collections.abc import Collection, Iterable
from hashlib import blake2b
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct
from msgspec.structs import astuple, replace

from handlers.auctions.formats.table import rules_of
from handlers.auctions.guard_rules import exposures_of
from handlers.auctions.notice_rules import NoticeChoice
from handlers.auctions.rules import (
    AuctionState,
    Fall,
    SaleTerms,
    SoftCloseTerms,
    Steps,
    UnitAllocation,
    reserve_met,
)
from handlers.contract import Event, Latest
from protocols.auctions.channels import auction_channel, ticker_channel
from protocols.auctions.events import Ticker
from protocols.auctions.refusals import AuctionNotFound
from protocols.values import to_timestamp
from storage.auctions.allocations_postgres import read_allocations, replace_allocations
from storage.auctions.auctions_postgres import (
    TermsRow,
    find_group_auctions,
    lock_states,
    read_terms,
    update_states,
)
from storage.auctions.exposures_postgres import change_used
from storage.engines.postgres import Connection

TERMS_MAX = 20_000
"""Auctions whose terms stay in memory, about 2 KB each: more than are bid on in one minute."""

MASKS_MAX = 200_000
"""Masks kept for all auctions together, about 150 bytes each; beyond that all are made again, 2 µs each."""

MASK_BYTES = 5
"""40 bits tell a thousand bidders of one auction apart (a collision once in two million auctions)."""


_STATE_END = 10
"""The columns of `lock_states` before this one are the id and the state."""

_TOLD_AT_FIRST = NoticeChoice()


class AuctionTerms:
    """What never changes of an auction, from its start on the title of its goods, and the names derived from it."""

    __slots__ = (
        "_masks",
        "auction_id",
        "channel",
        "cipher",
        "currency",
        "is_final",
        "listing_id",
        "rules",
        "sale",
        "salt",
        "sealed_key",
        "ticker",
        "title",
    )

    def __init__(
        self,
        auction_id: UUID,
        listing_id: UUID,
        currency: str,
        salt: bytes,
        sale: SaleTerms,
        title: str,
        sealed_key: bytes | None = None,
        *,
        is_final: bool = True,
    ) -> None:
        """Keep the terms; the masks are made when first asked for."""
        self.title = title
        self.is_final = is_final
        """The title of the goods does not change any more: the auction has started."""
        self.auction_id = auction_id
        self.listing_id = listing_id
        self.currency = currency
        self.salt = salt
        self.sale = sale
        self.rules = rules_of(sale.format, sale.quantity)
        self.sealed_key = sealed_key
        self.cipher: AESGCM | None = None
        """The sealed key decrypted, once it was needed."""
        self.channel = auction_channel(auction_id)
        self.ticker = ticker_channel(auction_id)
        self._masks: dict[UUID, str] = {}

    def mask(self, user_id: UUID) -> str:
        """Return the name a bidder has in this auction: always the same here, unlinkable to other auctions."""
        mask = self._masks.get(user_id)
        if mask is None:
            _make_room_for_mask()
            mask = self._masks[user_id] = mask_bidder(self.salt, user_id)
        return mask

    def forget_masks(self) -> None:
        """Drop the kept masks; they are made again when asked for."""
        self._masks.clear()


def mask_bidder(salt: bytes, user_id: UUID) -> str:
    """Return `bidder_` and ten hex digits of a keyed hash; without the salt nobody can link it to the user."""
    return f"bidder_{blake2b(user_id.bytes, key=salt, digest_size=MASK_BYTES).hexdigest()}"


class LockedAuction:
    """An auction whose row this transaction has locked: change `state`, then write it with `save_auctions`."""

    __slots__ = ("choice", "has_blocks", "loaded", "state", "terms")

    def __init__(
        self,
        terms: AuctionTerms,
        state: AuctionState,
        *,
        has_blocks: bool = False,
        choice: NoticeChoice = _TOLD_AT_FIRST,
    ) -> None:
        """Start from the state that was read."""
        self.terms = terms
        self.loaded = state
        self.state = state
        self.has_blocks = has_blocks
        """Whether the seller blocks somebody."""
        self.choice = choice
        """What the seller is told."""

    @property
    def leader(self) -> str | None:
        """The leader's mask."""
        leader_id = self.state.leader_id
        return None if leader_id is None else self.terms.mask(leader_id)

    def latest(self) -> Latest:
        """Return the ticker value of the current state."""
        state = self.state
        value = Ticker(
            price=state.price,
            minimum_bid=state.minimum_bid,
            leader=self.leader,
            bid_count=state.bid_count,
            reserve_met=reserve_met(self.terms.sale, state),
            ends_at=to_timestamp(state.ends_at_ms),
        )
        return Latest(self.terms.ticker, state.event_number, value)

    def event(self, kind: str, data: Struct) -> Event:
        """Return an event of this auction with the number of the current state."""
        return Event(self.terms.channel, kind, data, self.state.event_number)


_terms: dict[UUID, AuctionTerms] = {}
"""Ids are never reused, so an entry never goes stale; the oldest entry makes room."""


_masks_made = 0
"""Masks made since all were dropped; at least as many as are kept."""


def _make_room_for_mask() -> None:
    global _masks_made  # noqa: PLW0603 - one bound for the process is the point
    if _masks_made >= MASKS_MAX:
        for terms in _terms.values():
            terms.forget_masks()
        _masks_made = 0
    _masks_made += 1


async def lock_auctions(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, LockedAuction]:
    """Lock auctions in the order of their ids and return those that exist.

    Cost: one round trip, one more for terms that are not in memory, one more for auctions of several units.
    """
    rows = await lock_states(db, auction_ids)
    scheduled = {row[0] for row in rows if row[1] == "scheduled"}
    terms = await read_terms_by_id(db, [row[0] for row in rows], old_title=scheduled)
    auctions = {
        row[0]: LockedAuction(
            terms[row[0]],
            AuctionState(*row[1:_STATE_END]),
            has_blocks=row[_STATE_END],
            choice=NoticeChoice(*row[_STATE_END + 1 :]),
        )
        for row in rows
    }
    several = [auction_id for auction_id, one in terms.items() if one.sale.quantity > 1]
    if several:
        for auction_id, allocations in (await read_allocations(db, several)).items():
            auction = auctions[auction_id]
            auction.loaded = auction.state = replace(
                auction.state, allocations=tuple(UnitAllocation(*row) for row in allocations)
            )
    return auctions


async def lock_auctions_with_groups(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, LockedAuction]:
    """Lock auctions and the open auctions of their groups, all in the order of their ids.

    Cost: as `lock_auctions`; one more round trip when one of them has a group.
    """
    wanted = set(auction_ids)
    sales = [terms.sale for terms in (await read_terms_by_id(db, wanted, old_title=wanted)).values()]
    grouped = {(sale.seller_id, sale.group_id) for sale in sales if sale.group_id is not None}
    if grouped:
        wanted |= await find_group_auctions(db, grouped)
    return await lock_auctions(db, wanted)


async def lock_auction(db: Connection, auction_id: UUID) -> LockedAuction:
    """Lock one auction. Raises AuctionNotFound."""
    auctions = await lock_auctions(db, [auction_id])
    if not auctions:
        raise AuctionNotFound
    return auctions[auction_id]


async def read_terms_by_id(
    db: Connection, auction_ids: Iterable[UUID], *, old_title: Collection[UUID] = ()
) -> dict[UUID, AuctionTerms]:
    """Return the terms of those auctions that exist, without a lock; those of `old_title` perhaps with an older title.

    Cost: one round trip when the terms of one of them are not in memory, or one has not started when they were read.
    """
    wanted = list(auction_ids)
    unknown = [
        auction_id
        for auction_id in wanted
        if (known := _terms.get(auction_id)) is None or not (known.is_final or auction_id in old_title)
    ]
    fresh = (
        {row.auction_id: _to_auction_terms(row) for row in await read_terms(db, unknown)} if unknown else {}
    )
    found = {i: terms for i in wanted if (terms := fresh.get(i) or _terms.get(i)) is not None}
    _terms.update(fresh)
    while len(_terms) > TERMS_MAX:
        del _terms[next(iter(_terms))]
    return found


async def read_auction_terms(db: Connection, auction_id: UUID) -> AuctionTerms:
    """Return the terms of one auction. Raises AuctionNotFound."""
    terms = (await read_terms_by_id(db, [auction_id])).get(auction_id)
    if terms is None:
        raise AuctionNotFound
    return terms


async def save_auctions(db: Connection, auctions: Iterable[LockedAuction]) -> None:
    """Write the states that changed, and what that changes for those who lead in guarded auctions.

    Cost: one round trip, none when nothing changed; two more for changed allocations, one more with guarded auctions.
    Locks: exposures.
    """
    changed = [auction for auction in auctions if auction.state is not auction.loaded]
    await update_states(db, [(a.terms.auction_id, *astuple(a.state)[:-1], a.leader) for a in changed])
    reallocated = [a for a in changed if a.state.allocations != a.loaded.allocations]
    await replace_allocations(
        db, {a.terms.auction_id: [astuple(one) for one in a.state.allocations] for a in reallocated}
    )
    used: Counter[tuple[UUID, str]] = Counter()
    for auction in changed:
        terms = auction.terms
        if terms.sale.exposure_guard:
            for state, sign in ((auction.loaded, -1), (auction.state, 1)):
                for bidder, amount in exposures_of(terms.sale, state).items():
                    used[bidder, terms.currency] += sign * amount
    if used:
        await change_used(db, used)


def _to_auction_terms(row: TermsRow) -> AuctionTerms:
    sale = SaleTerms(
        seller_id=row.seller_id,
        starting_price=row.starting_price,
        reserve_price=row.reserve_price,
        buy_now_price=row.buy_now_price,
        starts_at_ms=row.starts_at_ms,
        ends_at_ms=row.planned_end_ms,
        steps=Steps(tuple(row.step_limits), tuple(row.steps)),
        soft_close=SoftCloseTerms(*row.soft_close_ms) if row.soft_close_ms else None,
        format=row.format,
        fall=Fall(*row.fall) if row.fall else None,
        group_id=row.group_id,
        quantity=row.quantity,
        exposure_guard=row.exposure_guard,
        wallet_guard=row.wallet_guard,
        needs_approval=row.bidders == "approved",
        deposit=row.deposit_minor,
    )
    return AuctionTerms(
        auction_id=row.auction_id,
        listing_id=row.listing_id,
        currency=row.currency,
        salt=row.mask_salt,
        sale=sale,
        title=row.title,
        sealed_key=row.sealed_key,
        is_final=row.is_final,
    )
