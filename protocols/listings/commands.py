"""Listings: what sellers offer. Commands, replies, audit events, refusals.

Every change of a listing is an audit event numbered by the listing's `version`. No channel replays them; the latest
channel `stock:<listing_id>` shows price, stock and status.
"""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from protocols.errors import Refusal
from protocols.goods import Condition, Photo
from protocols.listings.photos import PhotosChanged
from protocols.listings.saved_searches import ListingMatched, SearchFilters
from protocols.listings.stock import Stock, StockMoved
from protocols.values import AmountMinor, Currency, Cursor, GeoPoint, Key, Money, PageLimit, Timestamp

Title = Annotated[str, Meta(min_length=1, max_length=140, examples=["Leather travel bag"])]
"""One line; surrounding white space is dropped."""

Description = Annotated[str, Meta(max_length=10_000)]
"""Plain text; line breaks are kept."""

Slug = Annotated[str, Meta(min_length=1, max_length=40, examples=["cycling"])]
"""A category, as `listings.list_categories` names it."""

ListingStatus = Literal["draft", "active", "withdrawn", "sold"]
Sort = Literal["relevance", "newest", "price_asc", "price_desc", "distance"]

WeightG = Annotated[int, Meta(ge=1, le=100_000_000)]
"""Grams, up to a hundred tonnes."""

VolumeCm3 = Annotated[int, Meta(ge=1, le=1_000_000_000)]
"""Cubic centimetres, up to a thousand cubic metres."""

Quantity = Annotated[int, Meta(ge=1, le=10_000)]

AttributeName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$(?!\n)", max_length=40)]
AttributeValue = (
    Annotated[str, Meta(max_length=200)]
    | Annotated[int, Meta(ge=-9_007_199_254_740_991, le=9_007_199_254_740_991)]
    | Annotated[float, Meta(ge=-1e15, le=1e15)]
    | bool
)
Attributes = Annotated[dict[AttributeName, AttributeValue], Meta(max_length=50)]
"""Facts that only some goods have, such as `{"frame_cm": 56, "colour": "red"}`."""


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one piece costs, in minor units of one currency."""

    amount: AmountMinor
    currency: Currency


# -- Commands ----------------------------------------------------------------------------------------------------------


class CreateListing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Offer something."""

    title: Title
    description: Description
    category: Slug
    condition: Condition
    price: Price | None = None
    location: GeoPoint | None = None
    weight_g: WeightG | None = None
    volume_cm3: VolumeCm3 | None = None
    quantity: Quantity = 1
    attributes: Attributes | None = None
    draft: bool = False
    """Keep it to yourself until `listings.publish_listing`."""
    key: Key = ""


class GetListing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read one listing, whatever its status; a draft is its owner's alone."""

    listing_id: UUID


class UpdateListing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change the given fields of a draft or active listing; null clears price, location, weight, volume, attributes."""

    listing_id: UUID
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    category: Slug | UnsetType = UNSET
    condition: Condition | UnsetType = UNSET
    price: Price | UnsetType | None = UNSET
    location: GeoPoint | UnsetType | None = UNSET
    weight_g: WeightG | UnsetType | None = UNSET
    volume_cm3: VolumeCm3 | UnsetType | None = UNSET
    quantity: Quantity | UnsetType = UNSET
    attributes: Attributes | UnsetType | None = UNSET
    if_match: int | None = None
    key: Key = ""


class WithdrawListing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a listing off the market; repeating it changes nothing."""

    listing_id: UUID
    key: Key = ""


class PublishListing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put a draft on the market, or a withdrawn listing back on it; repeating it changes nothing."""

    listing_id: UUID
    key: Key = ""


class DeleteDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Throw a draft away; what was on the market once can only be withdrawn."""

    listing_id: UUID


class ListOwnListings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read own listings of any status, newest first."""

    status: ListingStatus | None = None
    limit: PageLimit = 20
    cursor: Cursor = ""


class SearchListings(SearchFilters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Find active listings. Words, filters and order combine freely; `distance` needs `near`."""

    sort: Sort | None = None
    """Default: relevance with `q`, else newest. An order by price needs `currency`: it shows what has a price in it."""
    limit: PageLimit = 20
    cursor: Cursor = ""


class ListCategories(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the whole category tree."""


# -- Replies -----------------------------------------------------------------------------------------------------------


class Listing(Struct, frozen=True, kw_only=True):
    """A listing in full."""

    id: UUID
    seller_id: UUID
    status: ListingStatus
    title: str
    description: str
    category: str
    condition: Condition
    price: Money | None
    location: GeoPoint | None
    weight_g: int | None
    volume_cm3: int | None
    quantity: int
    """Pieces on hand."""
    reserved: int
    """How many of them buyers hold for a while."""
    auctioned: int
    """How many of them an auction sells."""
    saleable: int
    """The rest: how many can be reserved, or put up for auction, now."""
    attributes: dict[str, str | int | float | bool]
    photos: list[Photo]
    version: int
    created_at: Timestamp
    updated_at: Timestamp


class FoundListing(Struct, frozen=True, kw_only=True):
    """A listing in a list: without description and attributes."""

    id: UUID
    seller_id: UUID
    status: ListingStatus
    title: str
    category: str
    condition: Condition
    price: Money | None
    location: GeoPoint | None
    weight_g: int | None
    volume_cm3: int | None
    quantity: int
    saleable: int
    photo: Photo | None
    """The first one."""
    version: int
    created_at: Timestamp
    updated_at: Timestamp
    distance_m: float | None
    """Great-circle metres from `near`; null without it."""


class Count(Struct, frozen=True, kw_only=True):
    """How many matches have a value."""

    value: str
    count: int


class PriceBand(Struct, frozen=True, kw_only=True):
    """How many matches cost at least `from_amount` and less than `to_amount` (null: no upper end)."""

    from_amount: int
    to_amount: int | None
    count: int


class PriceBands(Struct, frozen=True, kw_only=True):
    """Matches by price, in the currency asked for or else the most frequent one; empty bands are left out."""

    currency: Currency
    bands: list[PriceBand]


class Facets(Struct, frozen=True, kw_only=True):
    """Counts over the newest 10,000 matches at most, 2,000 where titles are spelt like the text."""

    matches: int
    capped: bool
    """There may be more matches than were counted."""
    category: list[Count]
    """The twenty most frequent."""
    condition: list[Count]
    currency: list[Count]
    price: PriceBands | None


class FoundListings(Struct, frozen=True, kw_only=True):
    """One page of a search."""

    items: list[FoundListing]
    next_cursor: str | None
    facets: Facets | None
    """On the first page only."""
    similar: bool
    """No listing has the words asked for; these have titles spelt like them."""


class OwnListings(Struct, frozen=True, kw_only=True):
    """One page of the caller's own listings."""

    items: list[Listing]
    next_cursor: str | None


class Category(Struct, frozen=True, kw_only=True):
    """A category and those below it."""

    slug: str
    name: str
    parent: str | None
    children: list["Category"]


class Categories(Struct, frozen=True, kw_only=True):
    """The category tree from its tops, all of it on one page."""

    items: list[Category]
    next_cursor: str | None = None


# -- Events (audit) ----------------------------------------------------------------------------------------------------


class ListingCreated(Struct, frozen=True, kw_only=True):
    """A listing began."""

    listing: Listing


class ListingUpdated(Struct, frozen=True, kw_only=True):
    """Its owner changed fields; `changes` has their new values."""

    by: UUID
    version: int
    changes: dict[str, Any]


class ListingWithdrawn(Struct, frozen=True, kw_only=True):
    """Its owner took it off the market."""

    by: UUID
    version: int


class ListingPublished(Struct, frozen=True, kw_only=True):
    """Its owner put it on the market, for the first time or again."""

    by: UUID
    version: int


class DraftDeleted(Struct, frozen=True, kw_only=True):
    """Its owner threw the draft away."""

    by: UUID
    version: int


EVENTS: dict[str, type[Struct]] = {
    "listing_created": ListingCreated,
    "listing_updated": ListingUpdated,
    "listing_withdrawn": ListingWithdrawn,
    "listing_published": ListingPublished,
    "draft_deleted": DraftDeleted,
    "stock_moved": StockMoved,
    "photos_changed": PhotosChanged,
}
"""Event types of a listing's stream; no channel replays them."""

PERSONAL_EVENTS: dict[str, type[Struct]] = {"listing_matched": ListingMatched}
"""What the domain says on personal channels."""

LATEST: dict[str, type[Struct]] = {"stock": Stock}
"""What the latest channel of a listing shows."""


# -- Refusals (600-699) ------------------------------------------------------------------------------------------------


class ListingNotActive(Refusal):
    """The listing is not on the market: a draft, withdrawn or sold."""

    code, number, status = "listing_not_active", 602, 409
    example: ClassVar[dict[str, Any]] = {"listing_status": "sold"}


class ListingNotDraft(Refusal):
    """Only a draft can be deleted; withdraw a listing instead."""

    code, number, status = "listing_not_draft", 610, 409
    example: ClassVar[dict[str, Any]] = {"listing_status": "active"}


class ListingInAuction(Refusal):
    """In a live auction only the price of a listing can change, and none that is in an auction can be withdrawn."""

    code, number, status = "listing_in_auction", 615, 409
    example: ClassVar[dict[str, Any]] = {"auction_id": "01a1fae9-8145-7614-a14a-0061ca24abef"}
