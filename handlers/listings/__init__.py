"""Listings: offers of goods, the category tree, search. The table of contents of the domain."""

from handlers.contract import Permission, Route
from handlers.listings.create_listing import create_listing
from handlers.listings.get_listing import get_listing
from handlers.listings.list_categories import list_categories
from handlers.listings.search_listings import search_listings
from handlers.listings.update_listing import update_listing
from handlers.listings.withdraw_listing import withdraw_listing
from protocols.errors import NotAllowed, Stale
from protocols.listings import (
    Categories,
    CategoryNotFound,
    CreateListing,
    FoundListings,
    GetListing,
    ListCategories,
    Listing,
    ListingInAuction,
    ListingNotActive,
    ListingNotFound,
    SearchListings,
    UpdateListing,
    WithdrawListing,
)

ROUTES: tuple[Route, ...] = (
    Route(
        domain="listings",
        command=CreateListing,
        reply=Listing,
        function=create_listing,
        method="POST",
        path="/v1/listings",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=5,
        refusals=(CategoryNotFound,),
    ),
    Route(
        domain="listings",
        command=SearchListings,
        reply=FoundListings,
        function=search_listings,
        method="GET",
        path="/v1/listings",
        permission=Permission.ANYONE,
        cost=5,
        refusals=(CategoryNotFound,),
    ),
    Route(
        domain="listings",
        command=GetListing,
        reply=Listing,
        function=get_listing,
        method="GET",
        path="/v1/listings/{listing_id}",
        permission=Permission.ANYONE,
        etag=True,
        refusals=(ListingNotFound,),
    ),
    Route(
        domain="listings",
        command=UpdateListing,
        reply=Listing,
        function=update_listing,
        method="PATCH",
        path="/v1/listings/{listing_id}",
        permission=Permission.SIGNED_IN,
        cost=5,
        etag=True,
        refusals=(
            ListingNotFound,
            ListingNotActive,
            ListingInAuction,
            CategoryNotFound,
            NotAllowed,
            Stale,
        ),
    ),
    Route(
        domain="listings",
        command=WithdrawListing,
        reply=Listing,
        function=withdraw_listing,
        method="POST",
        path="/v1/listings/{listing_id}/withdraw",
        permission=Permission.SIGNED_IN,
        refusals=(ListingNotFound, ListingNotActive, ListingInAuction, NotAllowed),
    ),
    Route(
        domain="listings",
        command=ListCategories,
        reply=Categories,
        function=list_categories,
        method="GET",
        path="/v1/categories",
        permission=Permission.ANYONE,
    ),
)
