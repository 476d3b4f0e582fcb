"""What bidders lead with in guarded auctions and what they may: rows locked, checked, followed through a transaction.

Lock order: auctions by id, then exposures by user and currency, then wallets. `save_auctions` writes the change of
every state.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from handlers.auctions.guard_rules import check_cover, default_limit, exposure_in, exposures_of
from handlers.auctions.locking import AuctionTerms
from handlers.auctions.rules import AuctionState
from protocols.auctions.guards import Exposure
from protocols.currencies import EXPONENTS
from storage.auctions.exposures_postgres import Pair, lock_exposures, read_exposure
from storage.engines.postgres import Connection
from storage.payments.wallets import lock_wallets


def limit_of(own_limit: int | None, currency: str) -> int:
    """Return what a user may lead with in a currency: the own limit, else everybody's."""
    return default_limit(EXPONENTS[currency]) if own_limit is None else own_limit


def to_exposure(user_id: UUID, currency: str, own_limit: int | None, used: int) -> Exposure:
    """Return an exposure as its user sees it."""
    limit = limit_of(own_limit, currency)
    return Exposure(
        user_id=user_id,
        currency=currency,
        limit=limit,
        used=used,
        free=max(0, limit - used),
        is_default=own_limit is None,
    )


async def read_own_exposure(db: Connection, user_id: UUID, currency: str) -> Exposure:
    """Return a user's exposure as of now. Cost: one round trip, no lock."""
    row = await read_exposure(db, user_id, currency)
    own_limit, used = (None, 0) if row is None else (row.limit_minor, row.used)
    return to_exposure(user_id, currency, own_limit, used)


class Exposures:
    """Limit and use of some users, whose rows this transaction has locked."""

    def __init__(self, limits: dict[Pair, int], used: dict[Pair, int], wallets: dict[Pair, int]) -> None:
        """Start from what was read; `wallets` is what those have who bid where wallets guard."""
        self._limits = limits
        self._used = used
        self._wallets = wallets

    def check(self, terms: AuctionTerms, state: AuctionState, bidder: UUID, amount: int) -> None:
        """Let an amount pass that the bidder has free for this auction. Raises ExposureExceeded."""
        pair = (bidder, terms.currency)
        check_cover(self._limit(terms, pair), self._used[pair], exposure_in(state, bidder), amount)

    def cover(self, terms: AuctionTerms, state: AuctionState, bidder: UUID) -> int:
        """Return how much the bidder may have in this auction, what it holds already included; negative is nothing."""
        pair = (bidder, terms.currency)
        return self._limit(terms, pair) - self._used[pair] + exposure_in(state, bidder)

    def _limit(self, terms: AuctionTerms, pair: Pair) -> int:
        limit = self._limits[pair]
        return min(limit, self._wallets[pair]) if terms.sale.wallet_guard else limit

    def follow(self, terms: AuctionTerms, before: AuctionState, after: AuctionState) -> None:
        """Note what a change of an auction releases and takes."""
        for state, sign in ((before, -1), (after, 1)):
            for bidder, amount in exposures_of(terms.sale, state).items():
                self._used[bidder, terms.currency] += sign * amount


async def lock_exposures_of(
    db: Connection, pairs: Iterable[Pair], by_wallet: Collection[Pair] = ()
) -> Exposures:
    """Lock what these users lead with, and what those of `by_wallet`, who are among them, have.

    Cost: one round trip, two when one of them is new; one more for wallets.
    """
    rows = await lock_exposures(db, pairs)
    limits = {(row.user_id, row.currency): limit_of(row.limit_minor, row.currency) for row in rows}
    used = {(row.user_id, row.currency): row.used for row in rows}
    wallets = await lock_wallets(db, by_wallet)
    has = {pair: wallet.available_minor + wallet.held_minor for pair, wallet in wallets.items()}
    return Exposures(limits, used, has)
