"""The rules of stock, without a database: who may reserve what, and which changes make a version stale."""

from dataclasses import replace

import pytest

from handlers.listings.stock.rules import HELD_MAX, check_reservation, release, reserve
from protocols.errors import Stale
from protocols.listings.commands import ListingNotActive
from protocols.listings.refusals import ListingNotFound, OwnListing
from protocols.listings.stock import InsufficientStock, ListingHasNoPrice, ReserveStock, TooManyReservations
from protocols.listings.stock_levels import StockRow
from protocols.values import Money, new_id

BUYER = new_id()
ROW = StockRow(
    listing_id=new_id(),
    seller_id=new_id(),
    status="active",
    version=9,
    terms_version=4,
    price_minor=500,
    currency="EUR",
    quantity=10,
    reserved=4,
)


def wish(quantity: int = 1, version: int | None = None) -> ReserveStock:
    return ReserveStock(listing_id=ROW.listing_id, quantity=quantity, version=version, key="k")


@pytest.mark.parametrize("version", [None, 4, 5, 9])
def test_what_was_seen_since_the_terms_changed_is_fresh(version):
    check_reservation(ROW, wish(6, version), BUYER, HELD_MAX - 1)


@pytest.mark.parametrize("version", [1, 3, 10])
def test_what_was_seen_before_or_never_is_stale(version):
    with pytest.raises(Stale) as refused:
        check_reservation(ROW, wish(1, version), BUYER, 0)
    assert refused.value.facts == {"version": 9, "price": Money(500, "EUR"), "saleable": 6}


@pytest.mark.parametrize(
    ("changes", "asked", "held", "why"),
    [
        ({"status": "draft"}, wish(), 0, ListingNotFound),
        ({"status": "withdrawn"}, wish(), 0, ListingNotActive),
        ({"status": "sold"}, wish(), 0, ListingNotActive),
        ({"seller_id": BUYER}, wish(), 0, OwnListing),
        ({"seller_id": BUYER, "status": "draft"}, wish(), 0, OwnListing),
        ({"price_minor": None, "currency": None}, wish(), 0, ListingHasNoPrice),
        ({}, wish(7), 0, InsufficientStock),
        ({"reserved": 10}, wish(1), 0, InsufficientStock),
        ({"auctioned": 1}, wish(6), 0, InsufficientStock),
        ({}, wish(), HELD_MAX, TooManyReservations),
    ],
)
def test_what_cannot_be_had_is_refused_by_its_reason(changes, asked, held, why):
    with pytest.raises(why):
        check_reservation(replace(ROW, **changes), asked, BUYER, held)


def test_what_an_auction_sells_cannot_be_had_beside_it():
    check_reservation(replace(ROW, auctioned=5), wish(1), BUYER, 0)
    with pytest.raises(InsufficientStock, match="1 left; an auction sells 5 more") as refused:
        check_reservation(replace(ROW, auctioned=5), wish(2), BUYER, 0)
    assert refused.value.facts == {"saleable": 1, "version": 9}


def test_an_unknown_listing_is_not_found():
    with pytest.raises(ListingNotFound):
        check_reservation(None, wish(), BUYER, 0)


def test_reserving_and_releasing_move_pieces_and_count_versions():
    held = reserve(ROW, 6)
    assert (held.saleable, held.version, held.terms_version) == (0, 10, 4)
    assert replace(release(held, 6), version=9) == ROW
