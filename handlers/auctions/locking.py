"""Auctions as handlers hold them: terms are kept in memory, states are locked and read per transaction."""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct
from msgspec.structs import astuple, replace

from handlers.auctions.formats.table import rules_of
from handlers.auctions.guard_rules import exposed
from handlers.auctions.rules import AuctionState, Fall, Place, SoftCloseTerms, Steps, Terms, reserve_met
from handlers.contract import Event, Latest
from protocols.auctions.channels import auction_channel, ticker_channel
from protocols.auctions.events import Ticker
from protocols.auctions.refusals import AuctionNotFound
from protocols.values import to_timestamp
from storage.auctions.auctions_postgres import Row, find_group_lots, lock_states, read_terms, update_states
from storage.auctions.exposures_postgres import change_used
from storage.auctions.places_postgres import read_places, replace_places
from storage.engines.postgres import Connection

LOTS_MAX = 20_000
"""Auctions whose terms stay in memory, about 2 KB each: more than are bid on in one minute."""

MASKS_MAX = 200_000
"""Masks kept in all lots together, about 150 bytes each; beyond that all are made again, 2 µs each."""

MASK_BYTES = 5
"""40 bits tell a thousand bidders of one auction apart (a collision once in two million auctions)."""


class Lot:
    """The unchanging half of an auction, with the names derived from it."""

    __slots__ = (
        "_masks",
        "auction_id",
        "channel",
        "cipher",
        "currency",
        "listing_id",
        "rules",
        "salt",
        "sealed_key",
        "terms",
        "ticker",
    )

    def __init__(
        self,
        auction_id: UUID,
        listing_id: UUID,
        currency: str,
        salt: bytes,
        terms: Terms,
        sealed_key: bytes | None = None,
    ) -> None:
        """Keep the terms; the masks are made when first asked for."""
        self.auction_id = auction_id
        self.listing_id = listing_id
        self.currency = currency
        self.salt = salt
        self.terms = terms
        self.rules = rules_of(terms.format, terms.quantity)
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


class Held:
    """An auction whose row this transaction has locked: change `state`, then write with `save`."""

    __slots__ = ("has_blocks", "loaded", "lot", "state")

    def __init__(self, lot: Lot, state: AuctionState, *, has_blocks: bool = False) -> None:
        """Start from the state that was read."""
        self.lot = lot
        self.loaded = state
        self.state = state
        self.has_blocks = has_blocks
        """The seller keeps somebody out."""

    @property
    def leader(self) -> str | None:
        """The leader's mask."""
        leader_id = self.state.leader_id
        return None if leader_id is None else self.lot.mask(leader_id)

    def latest(self) -> Latest:
        """Return the ticker value of the state as it is now."""
        s = self.state
        met = reserve_met(self.lot.terms, s)
        value = Ticker(s.price, s.minimum_bid, self.leader, s.bid_count, met, to_timestamp(s.ends_at_ms))
        return Latest(self.lot.ticker, s.event_number, value)

    def event(self, kind: str, data: Struct) -> Event:
        """Return an event of this auction with the number of the state as it is now."""
        return Event(self.lot.channel, kind, data, self.state.event_number)


_lots: dict[UUID, Lot] = {}
"""Ids are never reused, so an entry never goes stale; the oldest entry makes room."""


_masks_made = 0
"""Masks made since all were dropped; at least as many as are kept."""


def _make_room_for_mask() -> None:
    global _masks_made  # noqa: PLW0603 - one bound for the process is the point
    if _masks_made >= MASKS_MAX:
        for lot in _lots.values():
            lot.forget_masks()
        _masks_made = 0
    _masks_made += 1


async def hold(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, Held]:
    """Lock auctions in id order and return those that exist.

    Cost: one round trip, one more when a lot is new here, one more when there are lots of several units.
    """
    rows = await lock_states(db, auction_ids)
    lots = await read_lots(db, [row[0] for row in rows])
    held = {row[0]: Held(lots[row[0]], AuctionState(*row[1:-1]), has_blocks=row[-1]) for row in rows}
    several = [auction_id for auction_id, lot in lots.items() if lot.terms.quantity > 1]
    if several:
        for auction_id, places in (await read_places(db, several)).items():
            one = held[auction_id]
            one.loaded = one.state = replace(one.state, places=tuple(Place(*place) for place in places))
    return held


async def hold_with_groups(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, Held]:
    """Lock auctions and the open lots of their groups, all in id order.

    Cost: as `hold`; one more round trip when one of them has a group.
    """
    wanted = set(auction_ids)
    lots = (await read_lots(db, wanted)).values()
    grouped = {(lot.terms.seller_id, lot.terms.group_id) for lot in lots if lot.terms.group_id is not None}
    if grouped:
        wanted |= await find_group_lots(db, grouped)
    return await hold(db, wanted)


async def hold_one(db: Connection, auction_id: UUID) -> Held:
    """Lock one auction. Raises AuctionNotFound."""
    held = await hold(db, [auction_id])
    if not held:
        raise AuctionNotFound
    return held[auction_id]


async def read_lots(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, Lot]:
    """Return the lots of those auctions that exist, without a lock. Cost: one round trip when one is new here."""
    wanted = list(auction_ids)
    unknown = [auction_id for auction_id in wanted if auction_id not in _lots]
    fresh = {row["auction_id"]: _to_lot(row) for row in await read_terms(db, unknown)} if unknown else {}
    lots = {i: lot for i in wanted if (lot := _lots.get(i) or fresh.get(i)) is not None}
    _lots.update(fresh)
    while len(_lots) > LOTS_MAX:
        del _lots[next(iter(_lots))]
    return lots


async def read_lot(db: Connection, auction_id: UUID) -> Lot:
    """Return one lot. Raises AuctionNotFound."""
    lots = await read_lots(db, [auction_id])
    if not lots:
        raise AuctionNotFound
    return lots[auction_id]


async def save(db: Connection, held: Iterable[Held]) -> None:
    """Write the states that changed, and what that changes for those who lead in guarded auctions.

    Cost: one round trip, none when nothing changed; two more for changed places, one more with guarded auctions.
    Locks: exposures.
    """
    changed = [h for h in held if h.state is not h.loaded]
    await update_states(db, [(h.lot.auction_id, *astuple(h.state)[:-1], h.leader) for h in changed])
    moved = [h for h in changed if h.state.places != h.loaded.places]
    await replace_places(db, {h.lot.auction_id: [astuple(place) for place in h.state.places] for h in moved})
    used: Counter[tuple[UUID, str]] = Counter()
    for one in changed:
        if one.lot.terms.exposure_guard:
            for state, sign in ((one.loaded, -1), (one.state, 1)):
                for bidder, amount in exposed(one.lot.terms, state).items():
                    used[bidder, one.lot.currency] += sign * amount
    if used:
        await change_used(db, used)


def _to_lot(row: Row) -> Lot:
    soft = row["soft_close_ms"]
    terms = Terms(
        seller_id=row["seller_id"],
        starting_price=row["starting_price"],
        reserve_price=row["reserve_price"],
        buy_now_price=row["buy_now_price"],
        starts_at_ms=row["starts_at_ms"],
        ends_at_ms=row["planned_end_ms"],
        steps=Steps(tuple(row["step_limits"]), tuple(row["steps"])),
        soft_close=SoftCloseTerms(*soft) if soft else None,
        format=row["format"],
        fall=Fall(*row["fall"]) if row["fall"] else None,
        group_id=row["group_id"],
        quantity=row["quantity"],
        exposure_guard=row["exposure_guard"],
        needs_approval=row["bidders"] == "approved",
    )
    return Lot(
        row["auction_id"], row["listing_id"], row["currency"], row["mask_salt"], terms, row["sealed_key"]
    )
