"""The routes of guards: exposure, approved bidders, blocked bidders, a sale before the end."""

from handlers.auctions.closing.end_early import end_early
from handlers.auctions.guards.approve_bidder import approve_bidder
from handlers.auctions.guards.block_bidder import block_bidder
from handlers.auctions.guards.get_exposure import get_exposure
from handlers.auctions.guards.list_bidders import list_bidders
from handlers.auctions.guards.list_blocks import list_blocks
from handlers.auctions.guards.reject_bidder import reject_bidder
from handlers.auctions.guards.request_approval import request_approval
from handlers.auctions.guards.revoke_bidder import revoke_bidder
from handlers.auctions.guards.set_exposure_limit import set_exposure_limit
from handlers.auctions.guards.unblock_bidder import unblock_bidder
from handlers.contract import Permission, Route
from protocols.auctions import guards as words
from protocols.auctions.commands import Auction
from protocols.auctions.refusals import AuctionNotFound, AuctionNotLive, OwnAuction
from protocols.auth.refusals import UserNotFound
from protocols.errors import InvalidInput, NotAllowed, Refusal

ADMISSION: tuple[type[Refusal], ...] = (
    words.BidderIsBlocked,
    words.BidderNotApproved,
    words.ExposureExceeded,
)
"""What the guards answer a bid or a purchase with."""

_SELLER = (AuctionNotFound, NotAllowed, words.ApprovalNotNeeded, words.BidderNotFound)

GUARD_ROUTES: tuple[Route, ...] = (
    Route(
        domain="auctions",
        command=words.EndEarly,
        reply=Auction,
        function=end_early,
        method="POST",
        path="/v1/auctions/{auction_id}/end-early",
        permission=Permission.SIGNED_IN,
        cost=5,
        refusals=(AuctionNotFound, AuctionNotLive, words.AuctionNotEndable, NotAllowed),
    ),
    Route(
        domain="auctions",
        command=words.GetExposure,
        reply=words.Exposure,
        function=get_exposure,
        method="GET",
        path="/v1/exposures/{currency}",
        permission=Permission.SIGNED_IN,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="auctions",
        command=words.SetExposureLimit,
        reply=words.Exposure,
        function=set_exposure_limit,
        method="PUT",
        path="/v1/users/{user_id}/exposures/{currency}",
        permission=Permission.SUPPORT,
        cost=5,
        refusals=(InvalidInput, UserNotFound),
    ),
    Route(
        domain="auctions",
        command=words.RequestApproval,
        reply=words.Approval,
        function=request_approval,
        method="POST",
        path="/v1/auctions/{auction_id}/bidders",
        permission=Permission.SIGNED_IN,
        cost=5,
        refusals=(
            AuctionNotFound,
            AuctionNotLive,
            OwnAuction,
            words.ApprovalNotNeeded,
            words.BidderIsBlocked,
        ),
    ),
    Route(
        domain="auctions",
        command=words.ListBidders,
        reply=words.BidderList,
        function=list_bidders,
        method="GET",
        path="/v1/auctions/{auction_id}/bidders",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(InvalidInput, AuctionNotFound, NotAllowed, words.ApprovalNotNeeded),
    ),
    Route(
        domain="auctions",
        command=words.ApproveBidder,
        reply=words.Approval,
        function=approve_bidder,
        method="POST",
        path="/v1/auctions/{auction_id}/bidders/{bidder_id}/approve",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=_SELLER,
    ),
    Route(
        domain="auctions",
        command=words.RejectBidder,
        reply=words.Approval,
        function=reject_bidder,
        method="POST",
        path="/v1/auctions/{auction_id}/bidders/{bidder_id}/reject",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=_SELLER,
    ),
    Route(
        domain="auctions",
        command=words.RevokeBidder,
        reply=words.Approval,
        function=revoke_bidder,
        method="POST",
        path="/v1/auctions/{auction_id}/bidders/{bidder_id}/revoke",
        permission=Permission.SIGNED_IN,
        cost=10,
        refusals=(*_SELLER, words.BidderNotRevocable),
    ),
    Route(
        domain="auctions",
        command=words.BlockBidder,
        reply=words.Block,
        function=block_bidder,
        method="POST",
        path="/v1/blocked-bidders",
        permission=Permission.SIGNED_IN,
        cost=10,
        refusals=(InvalidInput, AuctionNotFound, NotAllowed, words.BidderNotFound, words.TooManyBlocks),
    ),
    Route(
        domain="auctions",
        command=words.ListBlocks,
        reply=words.BlockList,
        function=list_blocks,
        method="GET",
        path="/v1/blocked-bidders",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="auctions",
        command=words.UnblockBidder,
        reply=words.Block,
        function=unblock_bidder,
        method="DELETE",
        path="/v1/blocked-bidders/{block_id}",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(words.BlockNotFound,),
    ),
)
