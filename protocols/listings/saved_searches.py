"""What a search asks for, and searches that users keep: commands, replies, events, refusals of the listings domain."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from protocols.errors import Refusal
from protocols.goods import Condition
from protocols.places import RADIUS_M, Near, RadiusM
from protocols.values import Currency, Cursor, Key, Money, PageLimit, Timestamp

SearchName = Annotated[str, Meta(min_length=1, max_length=100, examples=["Touring bikes near Berlin"])]

SEARCHES_MAX = 100
"""Saved searches of one user."""


class SearchFilters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a listing must have to be found; words and filters combine freely."""

    q: Annotated[str, Meta(max_length=200)] = ""
    category: Annotated[str, Meta(max_length=40)] = ""
    """A category; its descendants are included."""
    condition: Condition | None = None
    min_price: Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)] | None = None
    max_price: Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)] | None = None
    """Minor units of `currency`, which is needed: amounts of different currencies are not compared."""
    currency: Currency | None = None
    seller_id: UUID | None = None
    near: Near = ""
    """`lat,lon` in degrees: only listings within `radius_m` of it."""
    radius_m: RadiusM = RADIUS_M


# -- Commands ----------------------------------------------------------------------------------------------------------


class SaveSearch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep a search, and hear of listings that come to fit it."""

    name: SearchName
    filters: Annotated[SearchFilters, Meta(examples=[{"q": "touring bike"}])]
    """At least one of them."""
    notify: bool = True
    key: Key = ""


class UpdateSearch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change a saved search; filters are replaced as a whole."""

    search_id: UUID
    name: SearchName | UnsetType = UNSET
    filters: Annotated[SearchFilters, Meta(examples=[{"q": "touring bike"}])] | UnsetType = UNSET
    notify: bool | UnsetType = UNSET
    key: Key = ""


class DeleteSearch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forget a saved search."""

    search_id: UUID


class ListSearches(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read own saved searches, newest first."""

    limit: PageLimit = 20
    cursor: Cursor = ""


# -- Replies -----------------------------------------------------------------------------------------------------------


class SavedSearch(Struct, frozen=True, kw_only=True):
    """A saved search."""

    id: UUID
    name: str
    filters: SearchFilters
    notify: bool
    created_at: Timestamp
    updated_at: Timestamp


class SavedSearches(Struct, frozen=True, kw_only=True):
    """A page of own saved searches."""

    items: list[SavedSearch]
    next_cursor: str | None


# -- Events (personal) -------------------------------------------------------------------------------------------------


class MatchedSearch(Struct, frozen=True, kw_only=True):
    """A saved search that a listing fits."""

    id: UUID
    name: str


class ListingMatched(Struct, frozen=True, kw_only=True):
    """A listing was published, or became cheaper, and fits saved searches of yours; each tells of a listing once."""

    listing_id: UUID
    title: str
    price: Money | None
    photo: str | None
    """Path of its small picture."""
    searches: list[MatchedSearch]


# -- Refusals (616, 619) -----------------------------------------------------------------------------------------------


class SearchNotFound(Refusal):
    """There is no such saved search of yours."""

    code, number, status = "search_not_found", 619, 404


class TooManySearches(Refusal):
    """You keep as many searches as one user may; delete one first."""

    code, number, status = "too_many_searches", 616, 409
    example: ClassVar[dict[str, Any]] = {"maximum": SEARCHES_MAX}
