"""Currencies and ranges of prices as clients give them: amounts are compared within one currency alone."""

from typing import NoReturn

from protocols.currencies import EXPONENTS
from protocols.errors import InvalidInput


def check_currency(code: str, pointer: str) -> str:
    """Return the code. Raises InvalidInput for what is no active currency of ISO 4217."""
    if code not in EXPONENTS:
        _refuse(pointer, "This is not an active currency of ISO 4217")
    return code


def check_price_range(low: int | None, high: int | None, currency: str | None, at: str = "") -> None:
    """Let a filter by price pass; `at` points to it in the input. Raises InvalidInput."""
    if currency is not None:
        check_currency(currency, f"{at}/currency")
    elif low is not None or high is not None:
        _refuse(
            f"{at}/currency",
            "A filter by price names its currency: amounts of different ones are not compared",
        )
    if low is not None and high is not None and low > high:
        _refuse(f"{at}/max_price", "The highest price is below the lowest")


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])
