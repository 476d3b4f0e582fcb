"""How large a deposit may be, and until when it is kept."""

import pytest

from handlers.auctions.deposits.rules import SETTLING_MS, deposit_fault, kept_until
from handlers.auctions.rules import SaleTerms, SoftCloseTerms, Steps
from protocols.values import new_id


@pytest.mark.parametrize(
    ("deposit", "currency", "least_price", "is_refused"),
    [
        (None, "EUR", 100, False),
        (100, "EUR", 100, False),
        (101, "EUR", 100, True),
        (1_000_000, "EUR", 10**9, False),
        (1_000_001, "EUR", 10**9, True),
        (10_000, "JPY", 10**9, False),
        (10_001, "JPY", 10**9, True),
        (10_000_000, "KWD", 10**9, False),
        (5, "XAU", 1, False),
    ],
)
def test_a_deposit_fits_into_the_least_price_and_into_its_currency(
    deposit, currency, least_price, is_refused
):
    assert (deposit_fault(deposit, currency, least_price) is not None) == is_refused


@pytest.mark.parametrize(
    ("soft_close", "extended_ms"), [(None, 0), (SoftCloseTerms(30_000, 60_000, 10), 600_000)]
)
def test_a_deposit_is_kept_beyond_the_last_possible_end(soft_close, extended_ms):
    terms = SaleTerms(
        seller_id=new_id(),
        starting_price=1,
        reserve_price=None,
        buy_now_price=None,
        starts_at_ms=0,
        ends_at_ms=1_000,
        steps=Steps((), (1,)),
        soft_close=soft_close,
    )
    assert kept_until(terms) == 1_000 + extended_ms + SETTLING_MS
