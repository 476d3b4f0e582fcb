"""The routes of what sellers are told."""

from handlers.auctions.notices.get_seller_notices import get_seller_notices
from handlers.auctions.notices.set_seller_notices import set_seller_notices
from handlers.contract import Permission, Route
from protocols.auctions.refusals import AuctionNotFound, AuctionNotLive
from protocols.auctions.seller_notices import GetSellerNotices, SellerNotices, SetSellerNotices
from protocols.errors import InvalidInput, NotAllowed

NOTICE_ROUTES: tuple[Route, ...] = (
    Route(
        domain="auctions",
        command=SetSellerNotices,
        reply=SellerNotices,
        function=set_seller_notices,
        method="PUT",
        path="/v1/auctions/{auction_id}/seller-notices",
        permission=Permission.SIGNED_IN,
        refusals=(AuctionNotFound, NotAllowed, AuctionNotLive, InvalidInput),
    ),
    Route(
        domain="auctions",
        command=GetSellerNotices,
        reply=SellerNotices,
        function=get_seller_notices,
        method="GET",
        path="/v1/auctions/{auction_id}/seller-notices",
        permission=Permission.SIGNED_IN,
        refusals=(AuctionNotFound, NotAllowed),
    ),
)
