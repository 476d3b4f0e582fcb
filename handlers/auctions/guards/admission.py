"""The guards of auctions as bids meet them: approval, blocks, exposure. Rules: guard_rules.py.

Auctions without a guard cost nothing; those with one cost a round trip per batch and kind of guard.
"""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from handlers.auctions.guard_rules import check_standing, exposures_of
from handlers.auctions.guards.exposure import Exposures, lock_exposures_of
from handlers.auctions.locking import LockedAuction
from handlers.auctions.rules import AuctionState, SaleTerms
from handlers.contract import Stores
from protocols.auctions.commands import OpenAuction
from storage.auctions.guards_postgres import StandingRow, find_standings, has_blocks, set_guards
from storage.engines.postgres import Connection

Attempt = tuple[UUID, UUID]
"""An auction and a bidder."""


class Guards:
    """What the guards know of the bidders of one transaction; it follows the transaction's own changes."""

    __slots__ = ("_exposures", "_standings")

    def __init__(self, standings: Mapping[Attempt, StandingRow], exposures: Exposures | None) -> None:
        """Take who stands how, and the locked exposures when an auction guards them."""
        self._standings = standings
        self._exposures = exposures

    def admit(
        self,
        auction: LockedAuction,
        bidder: UUID,
        amount: int | None = None,
        after: AuctionState | None = None,
    ) -> None:
        """Let a bid or purchase pass that makes the auction `after`; None when it leaves nobody leading.

        An amount of None needs no cover. Raises BidderIsBlocked, BidderNotApproved, ExposureExceeded.
        """
        terms = auction.terms
        standing = self._standings.get((terms.auction_id, bidder))
        if standing is not None:
            check_standing(
                needs_approval=terms.sale.needs_approval, status=standing.status, blocked=standing.blocked
            )
        if self._exposures is None or amount is None or not terms.sale.exposure_guard:
            return
        self._exposures.check(terms, auction.state, bidder, amount)
        if after is not None:
            self._exposures.follow(terms, auction.state, after)


async def read_guards(
    db: Connection, auctions: Mapping[UUID, LockedAuction], attempts: Iterable[Attempt]
) -> Guards | None:
    """Return what the guards of these locked auctions have to know; None when none of them has a guard."""
    restricted = {i: h for i, h in auctions.items() if h.has_blocks or h.terms.sale.needs_approval}
    limited = {i: h for i, h in auctions.items() if h.terms.sale.exposure_guard}
    if not restricted and not limited:
        return None
    tried = set(attempts)
    standings = await _read_standings(db, restricted, [a for a in tried if a[0] in restricted])
    exposures = None
    if limited:
        pairs = {(who, limited[i].terms.currency) for i, who in tried if i in limited}
        leading = {
            (who, h.terms.currency) for h in limited.values() for who in exposures_of(h.terms.sale, h.state)
        }
        by_wallet = {
            (who, limited[i].terms.currency)
            for i, who in tried
            if i in limited and limited[i].terms.sale.wallet_guard
        }
        exposures = await lock_exposures_of(db, pairs | leading, by_wallet)
    return Guards(standings, exposures)


async def _read_standings(
    db: Connection, restricted: Mapping[UUID, LockedAuction], attempts: Collection[Attempt]
) -> dict[Attempt, StandingRow]:
    if not attempts:
        return {}
    rows = [(i, restricted[i].terms.sale.seller_id, who) for i, who in attempts]
    return {(row.auction_id, row.bidder_id): row for row in await find_standings(db, rows)}


async def write_guards(command: OpenAuction, terms: SaleTerms, auction_id: UUID, stores: Stores) -> None:
    """Give the auction that this transaction has just written its guards; `lock_seller` came before the insert."""
    blocks = await has_blocks(stores.db, terms.seller_id)
    if blocks or terms.exposure_guard or terms.needs_approval or terms.deposit:
        await set_guards(
            stores.db,
            auction_id,
            exposure_guard=terms.exposure_guard,
            wallet_guard=terms.wallet_guard,
            bidders=command.bidders,
            has_blocks=blocks,
            deposit_minor=terms.deposit,
        )
