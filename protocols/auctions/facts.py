"""Facts that auctions state for other domains: typed, unmasked, never sent to clients. Aggregate: `auctions:<id>`.

Amounts are in minor units of the currency.
"""

from typing import Literal
from uuid import UUID

from msgspec import Struct


class Winner(Struct, frozen=True, kw_only=True):
    """Who got how much of an auction, at which price apiece."""

    user_id: UUID
    quantity: int
    price_minor: int


class AuctionSettled(Struct, frozen=True, kw_only=True):
    """An auction is over, however it ended, and its goods are settled. Stated once per auction."""

    auction_id: UUID
    listing_id: UUID
    seller_id: UUID
    """Who opened it: of a reverse auction, the one who wants something."""
    is_reverse: bool
    """The winner supplies and is paid, instead of paying."""
    outcome: Literal["sold", "unsold", "cancelled"]
    currency: str
    winners: tuple[Winner, ...]
    """Best first; none unless it was sold."""


class SecondChanceSold(Struct, frozen=True, kw_only=True):
    """A bidder who had not won took a second-chance offer; after the auction was settled."""

    auction_id: UUID
    listing_id: UUID
    seller_id: UUID
    is_reverse: bool
    offer_id: UUID
    currency: str
    winner: Winner


FACTS: tuple[type[Struct], ...] = (AuctionSettled, SecondChanceSold)
