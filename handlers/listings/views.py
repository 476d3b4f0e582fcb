"""Listings as clients see them."""

from handlers.contract import Latest
from protocols.goods import Photo, to_photo
from protocols.listings.channels import stock_channel
from protocols.listings.commands import FoundListing, Listing
from protocols.listings.stock_levels import StockLevel
from protocols.values import GeoPoint, to_timestamp
from storage.listings.listings_postgres import ListingRow
from storage.listings.photos_postgres import PhotoRow
from storage.listings.search_postgres import FoundRow


def to_listing(row: ListingRow) -> Listing:
    """Return the listing in full."""
    return Listing(
        id=row.listing_id,
        seller_id=row.seller_id,
        status=row.status,
        title=row.title,
        description=row.description,
        category=row.category,
        condition=row.condition,
        price=row.price,
        location=_to_point(row.lat, row.lon),
        weight_g=row.weight_g,
        volume_cm3=row.volume_cm3,
        quantity=row.quantity,
        reserved=row.reserved,
        auctioned=row.auctioned,
        saleable=row.saleable,
        attributes=row.attributes,
        photos=[_to_photo(photo) for photo in row.photos],
        version=row.version,
        created_at=to_timestamp(row.created_at_ms),
        updated_at=to_timestamp(row.updated_at_ms),
    )


def to_found_listing(row: FoundRow) -> FoundListing:
    """Return the listing as a list shows it; the distance is rounded to decimetres."""
    return FoundListing(
        id=row.listing_id,
        seller_id=row.seller_id,
        status=row.status,
        title=row.title,
        category=row.category,
        condition=row.condition,
        price=row.price,
        location=_to_point(row.lat, row.lon),
        weight_g=row.weight_g,
        volume_cm3=row.volume_cm3,
        quantity=row.quantity,
        saleable=row.saleable,
        photo=_to_photo(row.photo) if row.photo else None,
        version=row.version,
        created_at=to_timestamp(row.created_at_ms),
        updated_at=to_timestamp(row.updated_at_ms),
        distance_m=None if row.distance_m is None else round(row.distance_m, 1),
    )


def stock_value(row: StockLevel) -> Latest:
    """Return what watchers of the listing see."""
    return Latest(stock_channel(row.listing_id), row.version, row.to_view())


def _to_photo(row: PhotoRow) -> Photo:
    return to_photo(row.photo_id, row.width, row.height, row.caption)


def _to_point(lat: float | None, lon: float | None) -> GeoPoint | None:
    return None if lat is None or lon is None else GeoPoint(lat, lon)
