"""The guards of auctions as bids meet them: approval, blocks, exposure. Rules: guard_rules.py.

Auctions without a guard cost nothing; those with one cost a round trip per batch and kind of guard.
"""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from handlers.auctions.guard_rules import check_standing, exposed
from handlers.auctions.guards.exposure import Exposures, lock_cover
from handlers.auctions.locking import Held
from handlers.auctions.rules import AuctionState, Terms
from handlers.contract import Stores
from protocols.auctions.commands import OpenAuction
from storage.auctions.guards_postgres import find_standings, has_blocks, set_guards
from storage.engines.postgres import Connection

Attempt = tuple[UUID, UUID]
"""An auction and a bidder."""


class Guards:
    """What the guards know of the bidders of one transaction; it follows the transaction's own changes."""

    __slots__ = ("_exposures", "_standings")

    def __init__(
        self, standings: Mapping[Attempt, tuple[str | None, bool]], exposures: Exposures | None
    ) -> None:
        """Take who stands how, and the locked exposures when an auction guards them."""
        self._standings = standings
        self._exposures = exposures

    def admit(
        self, held: Held, bidder: UUID, amount: int | None = None, after: AuctionState | None = None
    ) -> None:
        """Let a bid or purchase pass that makes the auction `after`; None when it leaves nobody leading.

        An amount of None needs no cover. Raises BidderIsBlocked, BidderNotApproved, ExposureExceeded.
        """
        lot = held.lot
        standing = self._standings.get((lot.auction_id, bidder))
        if standing is not None:
            check_standing(needs_approval=lot.terms.needs_approval, status=standing[0], blocked=standing[1])
        if self._exposures is None or amount is None or not lot.terms.exposure_guard:
            return
        self._exposures.check(lot, held.state, bidder, amount)
        if after is not None:
            self._exposures.follow(lot, held.state, after)


async def open_guards(
    db: Connection, held: Mapping[UUID, Held], attempts: Iterable[Attempt]
) -> Guards | None:
    """Return what the guards of these locked auctions have to know; None when none of them has a guard."""
    picky = {i: h for i, h in held.items() if h.has_blocks or h.lot.terms.needs_approval}
    limited = {i: h for i, h in held.items() if h.lot.terms.exposure_guard}
    if not picky and not limited:
        return None
    tried = set(attempts)
    standings = await _read_standings(db, picky, [a for a in tried if a[0] in picky])
    exposures = None
    if limited:
        pairs = {(who, limited[i].lot.currency) for i, who in tried if i in limited}
        leading = {(who, h.lot.currency) for h in limited.values() for who in exposed(h.lot.terms, h.state)}
        exposures = await lock_cover(db, pairs | leading)
    return Guards(standings, exposures)


async def _read_standings(
    db: Connection, picky: Mapping[UUID, Held], attempts: Collection[Attempt]
) -> dict[Attempt, tuple[str | None, bool]]:
    if not attempts:
        return {}
    rows = [(i, picky[i].lot.terms.seller_id, who) for i, who in attempts]
    return {(row[0], row[1]): (row[2], row[3]) for row in await find_standings(db, rows)}


async def write_guards(command: OpenAuction, terms: Terms, auction_id: UUID, stores: Stores) -> None:
    """Give the auction that this transaction has just written its guards; `lock_seller` came before the insert."""
    blocks = await has_blocks(stores.db, terms.seller_id)
    if blocks or terms.exposure_guard or terms.needs_approval:
        await set_guards(
            stores.db,
            auction_id,
            exposure_guard=terms.exposure_guard,
            bidders=command.bidders,
            has_blocks=blocks,
        )
