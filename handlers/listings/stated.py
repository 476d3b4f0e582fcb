"""The facts that listings state."""

from handlers.contract import Fact
from protocols.listings.channels import listing_stream
from protocols.listings.facts import ListingPublished, PriceLowered
from storage.listings.listings_postgres import ListingRow


def published_fact(row: ListingRow) -> Fact:
    """Return the fact that a listing came onto the market."""
    published = ListingPublished(listing_id=row.listing_id, seller_id=row.seller_id)
    return Fact(listing_stream(row.listing_id), published)


def lowered_fact(row: ListingRow) -> Fact:
    """Return the fact that a listing's price fell, or appeared."""
    assert row.price_minor is not None, "a price that fell"
    assert row.currency is not None, "a price has a currency"
    lowered = PriceLowered(
        listing_id=row.listing_id,
        seller_id=row.seller_id,
        price_minor=row.price_minor,
        currency=row.currency,
    )
    return Fact(listing_stream(row.listing_id), lowered)
