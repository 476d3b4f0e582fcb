"""Stock and reservations: their part of the domain's table of contents."""

from handlers.contract import Permission, Route
from handlers.listings.stock.get_reservation import get_reservation
from handlers.listings.stock.list_movements import list_movements
from handlers.listings.stock.list_reservations import list_reservations
from handlers.listings.stock.release_reservation import release_reservation
from handlers.listings.stock.reserve_stock import reserve_stock
from protocols.errors import NotAllowed, Stale
from protocols.listings import stock as words
from protocols.listings.commands import ListingNotActive
from protocols.listings.refusals import ListingNotFound, OwnListing

ROUTES: tuple[Route, ...] = (
    Route(
        domain="listings",
        command=words.ReserveStock,
        reply=words.Reservation,
        function=reserve_stock,
        method="POST",
        path="/v1/listings/{listing_id}/reservations",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=5,
        key="required",
        grouped=True,
        refusals=(
            ListingNotFound,
            OwnListing,
            ListingNotActive,
            Stale,
            words.ListingHasNoPrice,
            words.InsufficientStock,
            words.TooManyReservations,
        ),
    ),
    Route(
        domain="listings",
        command=words.ListReservations,
        reply=words.Reservations,
        function=list_reservations,
        method="GET",
        path="/v1/reservations",
        permission=Permission.SIGNED_IN,
        cost=2,
    ),
    Route(
        domain="listings",
        command=words.GetReservation,
        reply=words.Reservation,
        function=get_reservation,
        method="GET",
        path="/v1/reservations/{reservation_id}",
        permission=Permission.SIGNED_IN,
        refusals=(words.ReservationNotFound,),
    ),
    Route(
        domain="listings",
        command=words.ReleaseReservation,
        reply=words.Reservation,
        function=release_reservation,
        method="POST",
        path="/v1/reservations/{reservation_id}/release",
        permission=Permission.SIGNED_IN,
        refusals=(words.ReservationNotFound, words.ReservationSold),
    ),
    Route(
        domain="listings",
        command=words.ListMovements,
        reply=words.Movements,
        function=list_movements,
        method="GET",
        path="/v1/listings/{listing_id}/movements",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(ListingNotFound, NotAllowed),
    ),
)
