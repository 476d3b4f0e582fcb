"""What an amount is in another currency, and what the market keeps of it. Exact: no floats.

Every rounding is against the customer: what they get at the reference rate is rounded down, what the market keeps is
rounded up. So nobody gains by exchanging around, whatever the rates, and however small the amounts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil, floor

from protocols.currencies import EXPONENTS
from protocols.payments.exchange import AmountTooSmall, CurrencyNotExchanged, StockExhausted
from protocols.values import AMOUNT_MAX

AGE_MAX_MS = 5 * 86_400_000
"""Rates of a working day hold over the longest row of holidays of the bank, Easter's."""

_SHOWN = Context(prec=10)


@dataclass(frozen=True, slots=True)
class Price:
    """What is bought for an amount: at the reference rate, and what the market keeps of that."""

    gross_minor: int
    spread_minor: int


def is_fresh(as_of_ms: int, now_ms: int) -> bool:
    """Whether rates may be traded by; those of after tomorrow may not."""
    return -86_400_000 <= now_ms - as_of_ms <= AGE_MAX_MS


def rate_of(rates: Mapping[str, str], sell: str, buy: str) -> Fraction:
    """Return units of `buy` for one unit of `sell`; there and back is exactly 1. Raises CurrencyNotExchanged."""
    for code in (sell, buy):
        if code not in rates:
            raise CurrencyNotExchanged(currency=code)
    return Fraction(rates[buy]) / Fraction(rates[sell])


def minor_rate(rate: Fraction, sell: str, buy: str) -> Fraction:
    """Return minor units of `buy` for one minor unit of `sell`."""
    return rate * Fraction(10) ** (EXPONENTS[buy] - EXPONENTS[sell])


def price_of(sell_minor: int, per_minor: Fraction, spread_bp: int) -> Price:
    """Return what an amount buys. Raises AmountTooSmall when that is nothing, StockExhausted beyond what is counted."""
    gross_minor = floor(sell_minor * per_minor)
    spread_minor = ceil(Fraction(gross_minor * spread_bp, 10_000))
    if gross_minor - spread_minor < 1:
        raise AmountTooSmall
    if gross_minor > AMOUNT_MAX:
        raise StockExhausted("No market has that much")
    return Price(gross_minor, spread_minor)


def rate_text(rate: Fraction) -> str:
    """Return a rate as people read it: ten digits, no exponent."""
    text = format(_SHOWN.divide(Decimal(rate.numerator), Decimal(rate.denominator)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
