"""Exchange is exact, and nobody gains by it: no cycle, no rates, no amount, no exponent."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from handlers.payments.exchange.rules import (
    AGE_MAX_MS,
    is_fresh,
    minor_rate,
    price_of,
    rate_of,
    rate_text,
)
from handlers.payments.exchange.terms import chain_of, floor_of, spread_of
from protocols.currencies import EXPONENTS
from protocols.payments.exchange import AmountTooSmall, CurrencyNotExchanged, StockExhausted
from protocols.values import AMOUNT_MAX, new_id
from storage.payments.exchange_postgres import QuoteRow, TermsRow
from storage.payments.posting_rules import AccountRow, Books, accounts_of, apply_chain

CODES = ("EUR", "USD", "JPY", "KRW", "KWD", "BHD", "ISK", "EGP")  # exponents 2, 2, 0, 0, 3, 3, 0, 2
RATE = st.decimals("0.0001", "100000", places=4).map(str)
TABLES = st.fixed_dictionaries(dict.fromkeys(CODES, RATE))
CYCLES = st.lists(st.sampled_from(CODES), min_size=2, max_size=6)
RATES = {"EUR": "1", "USD": "1.25", "JPY": "160", "KWD": "0.335"}


def price(sell_minor: int, sell: str, buy: str, spread_bp: int, rates=RATES):
    return price_of(sell_minor, minor_rate(rate_of(rates, sell, buy), sell, buy), spread_bp)


@settings(deadline=None, max_examples=400)
@given(rates=TABLES, cycle=CYCLES, amount=st.integers(1, 10**9), spread_bp=st.integers(0, 2_000))
def test_no_cycle_of_exchanges_gains_a_minor_unit(rates, cycle, amount, spread_bp):
    path = [*cycle, cycle[0]]
    assume(all(here != there for here, there in itertools.pairwise(path)))
    has = amount
    for sell, buy in itertools.pairwise(path):
        try:
            bought = price(has, sell, buy, spread_bp, rates)
        except (AmountTooSmall, StockExhausted):
            return
        has = bought.gross_minor - bought.spread_minor
    assert has <= amount


@settings(deadline=None, max_examples=200)
@given(rates=TABLES, sell=st.sampled_from(CODES), buy=st.sampled_from(CODES))
def test_there_and_back_is_exactly_one(rates, sell, buy):
    there, back = rate_of(rates, sell, buy), rate_of(rates, buy, sell)
    assert there * back == 1
    assert minor_rate(there, sell, buy) * minor_rate(back, buy, sell) == 1


@settings(deadline=None, max_examples=200)
@given(
    rates=TABLES, amount=st.integers(2, 10**9), part=st.integers(1, 10**9), spread_bp=st.integers(0, 2_000)
)
def test_an_amount_in_parts_never_buys_more_than_the_whole(rates, amount, part, spread_bp):
    part = min(part, amount - 1)
    try:
        whole = price(amount, "EUR", "JPY", spread_bp, rates)
    except StockExhausted:
        return
    except AmountTooSmall:
        whole = None
    bought = 0
    for each in (part, amount - part):
        try:
            piece = price(each, "EUR", "JPY", spread_bp, rates)
        except AmountTooSmall:
            continue
        bought += piece.gross_minor - piece.spread_minor
    assert bought <= (whole.gross_minor - whole.spread_minor if whole else 0)


@pytest.mark.parametrize(
    ("sell_minor", "sell", "buy", "spread_bp", "gross", "spread"),
    [
        (10_000, "EUR", "USD", 100, 12_500, 125),
        (10_000, "EUR", "JPY", 100, 16_000, 160),
        (10_000, "EUR", "KWD", 100, 33_500, 335),
        (1, "EUR", "JPY", 0, 1, 0),  # 1.6 yen, rounded down
        (333, "JPY", "KWD", 1, 697, 1),  # 697.2; a part of a minor unit of spread is a whole one
        (16_000, "JPY", "EUR", 0, 10_000, 0),
    ],
)
def test_worked_amounts(sell_minor, sell, buy, spread_bp, gross, spread):
    bought = price(sell_minor, sell, buy, spread_bp)
    assert (bought.gross_minor, bought.spread_minor) == (gross, spread)


def test_what_cannot_be_exchanged_is_refused():
    with pytest.raises(AmountTooSmall):
        price(1, "JPY", "EUR", 0)  # 0.6 cents
    with pytest.raises(AmountTooSmall):
        price(1, "EUR", "USD", 1)  # one cent, of which the market keeps at least one
    with pytest.raises(StockExhausted):
        price(AMOUNT_MAX, "EUR", "KWD", 0)
    with pytest.raises(CurrencyNotExchanged):
        rate_of(RATES, "EUR", "GBP")


def test_rates_hold_for_five_days():
    assert is_fresh(0, AGE_MAX_MS)
    assert not is_fresh(0, AGE_MAX_MS + 1)
    assert not is_fresh(2 * 86_400_000, 0)


def test_terms_that_nobody_gave_are_the_defaults():
    terms = {"USD": TermsRow(currency="USD", spread_bp=250, stock_floor_minor=-7)}
    assert spread_of(terms, ["EUR", "USD"]) == 250
    assert spread_of(terms, ["EUR", "JPY"]) == 100
    assert floor_of(terms["USD"], "USD", RATES) == -7
    assert floor_of(None, "JPY", RATES) == -1_600_000
    assert floor_of(None, "KWD", RATES) == -3_350_000


def test_rates_are_shown_with_ten_digits_and_no_exponent():
    assert rate_text(Fraction(5, 4)) == "1.25"
    assert rate_text(Fraction(1, 160)) == "0.00625"
    assert rate_text(Fraction(1, 3)) == "0.3333333333"
    assert rate_text(Fraction(160)) == "160"


@settings(deadline=None, max_examples=100)
@given(
    sell_minor=st.integers(1, 10**9),
    gross=st.integers(2, 10**9),
    spread=st.integers(0, 10**9),
    codes=st.permutations(CODES),
)
def test_the_chain_keeps_the_balance_of_both_currencies(sell_minor, gross, spread, codes):
    sell, buy, spread = codes[0], codes[1], min(spread, gross - 1)
    quote = QuoteRow(
        quote_id=new_id(),
        owner_id=new_id(),
        sell_currency=sell,
        sell_minor=sell_minor,
        buy_currency=buy,
        gross_minor=gross,
        spread_minor=spread,
        stock_floor_minor=0,
        created_at_ms=0,
        expires_at_ms=1,
        used=False,
        sold_id=new_id(),
        bought_id=new_id(),
        spread_id=new_id(),
    )
    chain = chain_of(quote)
    rows = {
        account: AccountRow(account_id=number, balance_minor=sell_minor, entries=0, frozen=False)
        for number, account in enumerate(sorted(accounts_of(chain, {})))
    }
    draft = apply_chain(Books(rows), chain, 0)
    assert EXPONENTS[sell] in {0, 2, 3}
    for code in (sell, buy):
        before = sum(row.balance_minor for account, row in rows.items() if account.currency == code)
        after = sum(
            draft.accounts.get(account, row).balance_minor
            for account, row in rows.items()
            if account.currency == code
        )
        assert before == after
    got = {
        account.currency: draft.accounts[account].balance_minor - row.balance_minor
        for account, row in rows.items()
        if account.owner_id == quote.owner_id
    }
    assert got == {sell: -sell_minor, buy: gross - spread}
