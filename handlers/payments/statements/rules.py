"""Which times a statement may be about, and how amounts and cells are written."""

from datetime import datetime
from typing import NoReturn

from protocols.currencies import EXPONENTS
from protocols.errors import InvalidInput
from protocols.values import to_instant

SPAN_MAX_MS = 366 * 86_400_000
"""A statement is about a year at most."""

_UNSAFE = ("=", "+", "-", "@", "\t", "\r", "\n")


def check_range(since: datetime, until: datetime, now_ms: int) -> tuple[int, int]:
    """Return both instants. Raises InvalidInput for a time that is empty, too long or not begun."""
    from_ms, until_ms = to_instant(since), to_instant(until)
    if from_ms < 0:
        _refuse("/from", "There is nothing from before 1970")
    if until_ms <= from_ms:
        _refuse("/to", "The end is not after the beginning")
    if until_ms - from_ms > SPAN_MAX_MS:
        _refuse("/to", "A statement is about 366 days at most")
    if from_ms > now_ms:
        _refuse("/from", "That time has not begun")
    return from_ms, until_ms


def decimal_text(amount_minor: int, currency: str) -> str:
    """Return an amount with the decimals of its currency, no separators: `-1250` of EUR is `-12.50`."""
    exponent = EXPONENTS.get(currency, 2)
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole}.{rest:0{exponent}d}" if exponent else f"{sign}{whole}"


def text_cell(text: str) -> str:
    """Return a CSV cell of text that no spreadsheet takes for a formula. Source: RFC 4180 section 2 for quotes."""
    safe = f"'{text}" if text.startswith(_UNSAFE) else text
    return '"' + safe.replace('"', '""') + '"' if any(mark in safe for mark in '",\r\n') else safe


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])
