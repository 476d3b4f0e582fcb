"""Auctions: the domain's table of contents."""

from operator import attrgetter

from handlers.auctions.bidding.buy_now import buy_now
from handlers.auctions.bidding.place_bid import place_bid
from handlers.auctions.bidding.retract_bid import retract_bid
from handlers.auctions.channels import CHANNELS
from handlers.auctions.closing.cancel_auction import cancel_auction
from handlers.auctions.closing.close_auction import close_auction
from handlers.auctions.closing.closing_drafts import prepare_closing
from handlers.auctions.closing.notify_losers import notify_losers
from handlers.auctions.closing.notify_result import notify_result
from handlers.auctions.closing.queue_losers import queue_losers
from handlers.auctions.demo import add_demo_auctions
from handlers.auctions.deposits.return_deposits import return_deposits
from handlers.auctions.deposits.settle_deposits import settle_deposits
from handlers.auctions.get_increments import get_increments
from handlers.auctions.guards.routes import ADMISSION, GUARD_ROUTES
from handlers.auctions.notices.routes import NOTICE_ROUTES
from handlers.auctions.open_auction import open_auction
from handlers.auctions.open_scheduled_auction import open_scheduled_auction
from handlers.auctions.reading.get_auction import get_auction
from handlers.auctions.reading.get_audit import get_audit
from handlers.auctions.reading.get_page import get_page
from handlers.auctions.reading.list_auctions import list_auctions
from handlers.auctions.reading.list_bids import list_bids
from handlers.auctions.second_chances.expire_second_chance import expire_second_chance
from handlers.auctions.second_chances.routes import SECOND_CHANCE_ROUTES
from handlers.auctions.set_increments import set_increments
from handlers.auctions.signals.review_auction import review_auction
from handlers.auctions.signals.routes import SIGNAL_ROUTES
from handlers.auctions.signals.rules import HISTORY_MS
from handlers.auctions.watching.list_watched import list_watched
from handlers.auctions.watching.notify_watchers import REMINDERS, notify_started
from handlers.auctions.watching.unwatch_auction import unwatch_auction
from handlers.auctions.watching.watch_auction import watch_auction
from handlers.contract import Permission, Route
from handlers.domain import URGENT, Domain, Retention, TimerKind
from protocols.auctions import audits as audit_words
from protocols.auctions import commands as words
from protocols.auctions import increments as increment_words
from protocols.auctions import pages as auction_pages
from protocols.auctions import refusals
from protocols.auctions import watching as watch_words
from protocols.auctions.deposits import DepositRequired
from protocols.auctions.facts import FACTS
from protocols.errors import InvalidInput, NotAllowed
from protocols.listings.refusals import CategoryNotFound
from protocols.payments.refusals import AccountFrozen, InsufficientFunds
from storage.auctions.signals_postgres import delete_old_activity
from storage.auctions.watches_postgres import delete_old_watches
from storage.platform.vault import Vault

ROUTES: tuple[Route, ...] = (
    Route(
        domain="auctions",
        command=words.OpenAuction,
        reply=words.Auction,
        function=open_auction,
        method="POST",
        path="/v1/auctions",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=5,
        refusals=(
            InvalidInput,
            NotAllowed,
            refusals.ListingNotAuctionable,
            refusals.ListingAlreadyInAuction,
        ),
    ),
    Route(
        domain="auctions",
        command=words.GetAuction,
        reply=words.Auction,
        function=get_auction,
        method="GET",
        path="/v1/auctions/{auction_id}",
        permission=Permission.ANYONE,
        etag=True,
        refusals=(refusals.AuctionNotFound,),
    ),
    Route(
        domain="auctions",
        command=auction_pages.GetPage,
        reply=auction_pages.AuctionPage,
        function=get_page,
        method="GET",
        path="/v1/auctions/{auction_id}/page",
        permission=Permission.ANYONE,
        cost=2,
        etag=True,
        refusals=(refusals.AuctionNotFound,),
    ),
    Route(
        domain="auctions",
        command=words.ListAuctions,
        reply=words.AuctionList,
        function=list_auctions,
        method="GET",
        path="/v1/auctions",
        permission=Permission.ANYONE,
        cost=2,
        refusals=(InvalidInput, CategoryNotFound),
    ),
    Route(
        domain="auctions",
        command=words.PlaceBid,
        reply=words.BidReceipt,
        function=place_bid,
        method="POST",
        path="/v1/auctions/{auction_id}/bids",
        permission=Permission.SIGNED_IN,
        status=201,
        key="required",
        grouped=True,
        aggregate_of=attrgetter("auction_id"),
        refusals=(
            refusals.AuctionNotFound,
            refusals.AuctionNotLive,
            refusals.BidTooLow,
            refusals.BidTooHigh,
            refusals.TooManyUnits,
            refusals.UnitsReduced,
            refusals.OwnAuction,
            *ADMISSION,
            DepositRequired,
            InsufficientFunds,
            AccountFrozen,
        ),
    ),
    Route(
        domain="auctions",
        command=words.ListBids,
        reply=words.BidList,
        function=list_bids,
        method="GET",
        path="/v1/auctions/{auction_id}/bids",
        permission=Permission.ANYONE,
        cost=2,
        refusals=(InvalidInput, refusals.AuctionNotFound),
    ),
    Route(
        domain="auctions",
        command=audit_words.GetAudit,
        reply=audit_words.AuctionAudit,
        function=get_audit,
        method="GET",
        path="/v1/auctions/{auction_id}/audit",
        permission=Permission.ANYONE,
        cost=5,
        refusals=(InvalidInput, refusals.AuctionNotFound),
    ),
    Route(
        domain="auctions",
        command=increment_words.GetIncrements,
        reply=increment_words.IncrementTable,
        function=get_increments,
        method="GET",
        path="/v1/increments/{currency}",
        permission=Permission.ANYONE,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="auctions",
        command=increment_words.SetIncrements,
        reply=increment_words.IncrementVersion,
        function=set_increments,
        method="PUT",
        path="/v1/increments/{currency}",
        permission=Permission.ADMIN,
        cost=5,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="auctions",
        command=words.BuyNow,
        reply=words.BidReceipt,
        function=buy_now,
        method="POST",
        path="/v1/auctions/{auction_id}/buy-now",
        permission=Permission.SIGNED_IN,
        key="required",
        refusals=(
            refusals.AuctionNotFound,
            refusals.AuctionNotLive,
            refusals.OwnAuction,
            refusals.BuyNowUnavailable,
            *ADMISSION,
        ),
    ),
    Route(
        domain="auctions",
        command=words.RetractBid,
        reply=words.Retraction,
        function=retract_bid,
        method="POST",
        path="/v1/auctions/{auction_id}/bids/{bid_id}/retract",
        permission=Permission.SIGNED_IN,
        cost=10,
        refusals=(refusals.AuctionNotFound, refusals.AuctionNotLive, refusals.BidNotRetractable, NotAllowed),
    ),
    Route(
        domain="auctions",
        command=words.CancelAuction,
        reply=words.Auction,
        function=cancel_auction,
        method="POST",
        path="/v1/auctions/{auction_id}/cancel",
        permission=Permission.SIGNED_IN,
        cost=5,
        refusals=(
            refusals.AuctionNotFound,
            refusals.AuctionNotLive,
            refusals.AuctionNotCancellable,
            NotAllowed,
        ),
    ),
    Route(
        domain="auctions",
        command=watch_words.WatchAuction,
        reply=watch_words.Watch,
        function=watch_auction,
        method="PUT",
        path="/v1/auctions/{auction_id}/watch",
        permission=Permission.SIGNED_IN,
        refusals=(
            refusals.AuctionNotFound,
            refusals.AuctionNotLive,
            refusals.OwnAuction,
            watch_words.WatchListFull,
        ),
    ),
    Route(
        domain="auctions",
        command=watch_words.UnwatchAuction,
        reply=watch_words.Watch,
        function=unwatch_auction,
        method="DELETE",
        path="/v1/auctions/{auction_id}/watch",
        permission=Permission.SIGNED_IN,
        refusals=(refusals.AuctionNotFound,),
    ),
    Route(
        domain="auctions",
        command=watch_words.ListWatched,
        reply=auction_pages.WatchList,
        function=list_watched,
        method="GET",
        path="/v1/watchlist",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(InvalidInput,),
    ),
    *GUARD_ROUTES,
    *NOTICE_ROUTES,
    *SECOND_CHANCE_ROUTES,
    *SIGNAL_ROUTES,
)

TIMERS = (
    TimerKind(name="close_auction", handler=close_auction, prepare=prepare_closing, lane=URGENT),
    TimerKind(name="open_scheduled_auction", handler=open_scheduled_auction),
    TimerKind(name="notify_result", handler=notify_result),
    TimerKind(name="queue_losers", handler=queue_losers),
    TimerKind(name="notify_losers", handler=notify_losers),
    TimerKind(name="settle_deposits", handler=settle_deposits),
    TimerKind(name="return_deposits", handler=return_deposits),
    TimerKind(name="expire_second_chance", handler=expire_second_chance),
    TimerKind(name="review_auction", handler=review_auction),
    TimerKind(name="notify_started", handler=notify_started),
    *(TimerKind(name=name, handler=handler) for name, handler in REMINDERS.items()),
)

WATCHES_KEPT_MS = 90 * 86_400_000
"""How long an auction that is over stays in the lists of those who watched it or bid."""

DOMAIN = Domain(
    name="auctions",
    routes=ROUTES,
    channels=CHANNELS,
    timers=TIMERS,
    retention=(
        Retention(delete=delete_old_activity, kept_ms=HISTORY_MS),
        Retention(delete=delete_old_watches, kept_ms=WATCHES_KEPT_MS),
    ),
    needs=(Vault,),
    facts=FACTS,
    personal_events=words.PERSONAL_EVENTS,
    audit_events=words.AUDIT_EVENTS,
    demo=add_demo_auctions,
)
