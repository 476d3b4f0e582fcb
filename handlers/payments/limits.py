"""How much may come in, or go out, at a time and in 24 hours."""

from dataclasses import dataclass

from protocols.currencies import EXPONENTS
from protocols.payments.provider_refusals import AmountOutOfRange, CurrencyNotOffered, DailyLimitReached

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """In whole units of a currency."""

    least: int
    most: int
    day: int


OFFERED: dict[str, Limits] = {
    **dict.fromkeys(("EUR", "USD", "GBP", "CHF", "CAD", "AUD"), Limits(1, 5_000, 10_000)),
    **dict.fromkeys(("AED", "SAR", "PLN", "SEK", "NOK", "DKK"), Limits(5, 25_000, 50_000)),
    **dict.fromkeys(("EGP", "INR", "JPY"), Limits(100, 500_000, 1_000_000)),
}
"""The currencies in which money comes in and goes out."""


def check_amount(amount_minor: int, currency: str, spent_minor: int) -> None:
    """Let an amount pass; `spent_minor` is what moved in the same way in the last 24 hours.

    Raises: CurrencyNotOffered, AmountOutOfRange, DailyLimitReached.
    """
    limits = OFFERED.get(currency)
    if limits is None:
        raise CurrencyNotOffered
    unit = 10 ** EXPONENTS[currency]
    if not limits.least * unit <= amount_minor <= limits.most * unit:
        raise AmountOutOfRange(minimum=limits.least * unit, maximum=limits.most * unit, currency=currency)
    left = limits.day * unit - spent_minor
    if amount_minor > left:
        raise DailyLimitReached(left=max(0, left), currency=currency)
