"""The routes of second-chance offers."""

from handlers.auctions.second_chances.accept_second_chance import accept_second_chance
from handlers.auctions.second_chances.decline_second_chance import decline_second_chance
from handlers.auctions.second_chances.list_second_chances import list_second_chances
from handlers.auctions.second_chances.offer_second_chance import offer_second_chance
from handlers.auctions.second_chances.withdraw_second_chance import withdraw_second_chance
from handlers.contract import Permission, Route
from protocols.auctions import second_chances as words
from protocols.auctions.guards import ExposureExceeded
from protocols.auctions.refusals import AuctionNotFound
from protocols.errors import InvalidInput, NotAllowed

SECOND_CHANCE_ROUTES: tuple[Route, ...] = (
    Route(
        domain="auctions",
        command=words.OfferSecondChance,
        reply=words.SecondChance,
        function=offer_second_chance,
        method="POST",
        path="/v1/auctions/{auction_id}/second-chances",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=5,
        key="required",
        refusals=(InvalidInput, AuctionNotFound, NotAllowed, words.SecondChanceUnavailable),
    ),
    Route(
        domain="auctions",
        command=words.ListSecondChances,
        reply=words.SecondChanceList,
        function=list_second_chances,
        method="GET",
        path="/v1/second-chances",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="auctions",
        command=words.AcceptSecondChance,
        reply=words.SecondChance,
        function=accept_second_chance,
        method="POST",
        path="/v1/second-chances/{offer_id}/accept",
        permission=Permission.SIGNED_IN,
        cost=5,
        key="required",
        refusals=(words.SecondChanceNotFound, words.SecondChanceNotOpen, ExposureExceeded),
    ),
    Route(
        domain="auctions",
        command=words.DeclineSecondChance,
        reply=words.SecondChance,
        function=decline_second_chance,
        method="POST",
        path="/v1/second-chances/{offer_id}/decline",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(words.SecondChanceNotFound, words.SecondChanceNotOpen),
    ),
    Route(
        domain="auctions",
        command=words.WithdrawSecondChance,
        reply=words.SecondChance,
        function=withdraw_second_chance,
        method="POST",
        path="/v1/second-chances/{offer_id}/withdraw",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(words.SecondChanceNotFound, words.SecondChanceNotOpen),
    ),
)
