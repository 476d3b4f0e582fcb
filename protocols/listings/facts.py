"""Facts that listings state for other domains: typed, unmasked, never sent to clients. Aggregate: `listings:<id>`."""

from uuid import UUID

from msgspec import Struct


class ListingPublished(Struct, frozen=True, kw_only=True):
    """A listing came onto the market: made, or put back on it."""

    listing_id: UUID
    seller_id: UUID


class PriceLowered(Struct, frozen=True, kw_only=True):
    """A listing on the market has a lower price, or has one for the first time."""

    listing_id: UUID
    seller_id: UUID
    price_minor: int
    currency: str


FACTS: tuple[type[Struct], ...] = (ListingPublished, PriceLowered)
