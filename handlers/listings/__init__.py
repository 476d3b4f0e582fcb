"""Listings: offers of goods, the category tree, search. The table of contents of the domain."""

from handlers.contract import Permission, Route
from handlers.domain import Domain, JobKind, ReactionKind, TimerKind, ToolKind
from handlers.listings.channels import CHANNELS
from handlers.listings.create_listing import create_listing
from handlers.listings.delete_draft import delete_draft
from handlers.listings.demo import add_demo_listings
from handlers.listings.fold_texts import fold_listings, fold_rules, fold_searches
from handlers.listings.get_listing import get_listing
from handlers.listings.goods import routes as goods_routes
from handlers.listings.list_categories import list_categories
from handlers.listings.list_own_listings import list_own_listings
from handlers.listings.photos import routes as photo_routes
from handlers.listings.photos.sweep_photos import delete_files, forget_deleted, sweep_photos
from handlers.listings.photos.tools import PhotoTools, open_photo_place, open_photo_tools
from handlers.listings.publish_listing import publish_listing
from handlers.listings.search_listings import search_listings
from handlers.listings.searches import routes as search_routes
from handlers.listings.searches.match_searches import (
    match_searches,
    on_listing_published,
    on_price_lowered,
)
from handlers.listings.searches.notify_matches import notify_matches
from handlers.listings.stock import routes as stock_routes
from handlers.listings.stock.expire_reservations import expire_reservations
from handlers.listings.update_listing import update_listing
from handlers.listings.withdraw_listing import withdraw_listing
from protocols.errors import NotAllowed, Stale
from protocols.listings import facts
from protocols.listings.commands import (
    EVENTS,
    PERSONAL_EVENTS,
    Categories,
    CreateListing,
    DeleteDraft,
    FoundListings,
    GetListing,
    ListCategories,
    Listing,
    ListingInAuction,
    ListingNotActive,
    ListingNotDraft,
    ListingNotFound,
    ListOwnListings,
    OwnListings,
    PublishListing,
    SearchListings,
    UpdateListing,
    WithdrawListing,
)
from protocols.listings.goods import GoodsProhibited
from protocols.listings.refusals import CategoryNotFound
from protocols.listings.stock import StockHeld

_ROUTES: tuple[Route, ...] = (
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
        refusals=(CategoryNotFound, GoodsProhibited),
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
        command=ListOwnListings,
        reply=OwnListings,
        function=list_own_listings,
        method="GET",
        path="/v1/listings/own",
        permission=Permission.SIGNED_IN,
        cost=2,
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
            StockHeld,
            GoodsProhibited,
        ),
    ),
    Route(
        domain="listings",
        command=PublishListing,
        reply=Listing,
        function=publish_listing,
        method="POST",
        path="/v1/listings/{listing_id}/publish",
        permission=Permission.SIGNED_IN,
        cost=5,
        refusals=(ListingNotFound, ListingNotActive, NotAllowed, GoodsProhibited),
    ),
    Route(
        domain="listings",
        command=DeleteDraft,
        reply=None,
        function=delete_draft,
        method="DELETE",
        path="/v1/listings/{listing_id}",
        permission=Permission.SIGNED_IN,
        status=204,
        refusals=(ListingNotFound, ListingNotDraft, NotAllowed),
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

ROUTES: tuple[Route, ...] = (
    *_ROUTES,
    *stock_routes.ROUTES,
    *photo_routes.ROUTES,
    *search_routes.ROUTES,
    *goods_routes.ROUTES,
)

TIMERS = (
    TimerKind(name="expire_reservations", handler=expire_reservations),
    TimerKind(name="sweep_photos", handler=sweep_photos),
    TimerKind(name="match_searches", handler=match_searches),
    TimerKind(name="notify_matches", handler=notify_matches),
    TimerKind(name="fold_rules", handler=fold_rules, lane="fold"),
    TimerKind(name="fold_listings", handler=fold_listings, lane="fold"),
    TimerKind(name="fold_searches", handler=fold_searches, lane="fold"),
)

JOBS = (JobKind(name="delete_files", run=delete_files, finish=forget_deleted, timeout_s=20.0),)

REACTIONS = (
    ReactionKind(name="on_listing_published", fact=facts.ListingPublished, handler=on_listing_published),
    ReactionKind(name="on_price_lowered", fact=facts.PriceLowered, handler=on_price_lowered),
)

DOMAIN = Domain(
    name="listings",
    routes=ROUTES,
    channels=CHANNELS,
    timers=TIMERS,
    reactions=REACTIONS,
    jobs=JOBS,
    facts=facts.FACTS,
    tools=(ToolKind(PhotoTools, open_photo_tools, check=open_photo_place),),
    personal_events=PERSONAL_EVENTS,
    stream_events=EVENTS,
    demo=add_demo_listings,
)
