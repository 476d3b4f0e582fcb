"""Where reference rates come from: the European Central Bank's daily file, or a table for development."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

import httpx
import structlog

from protocols.currencies import EXPONENTS
from protocols.values import now_instant, to_instant

BYTES_MAX = 64 * 1024
"""The bank's file has 2 KB."""

TIMEOUT_S = 10.0
"""For every step; the job that reads has thirty seconds in all."""

ECB, DEVELOPMENT = "ecb", "development"

DEVELOPMENT_RATES: Mapping[str, str] = {
    "EUR": "1",
    "USD": "1.10",
    "GBP": "0.85",
    "CHF": "0.95",
    "JPY": "160",
    "KRW": "1450",
    "EGP": "52",
    "TRY": "36",
    "SEK": "11.2",
    "PLN": "4.3",
    "KWD": "0.335",
    "BHD": "0.41",
}
"""Round, and of no day."""

_DAY = re.compile(r"""<Cube\s{1,8}time=["'](\d{4}-\d\d-\d\d)["']\s{0,8}>""")
_RATE = re.compile(
    r"""<Cube\s{1,8}currency=["']([A-Z]{3})["']\s{1,8}rate=["'](\d{1,9}(?:\.\d{1,9})?)["']\s{0,8}/>"""
)

_log = structlog.get_logger()


class RatesError(Exception):
    """Rates could not be had; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a source says."""

    source: str
    as_of_ms: int
    rates: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RatesSource:
    """Says how much of each currency one euro is. A tool of every process."""

    read: Callable[[], Awaitable[Rates]]
    """Raises RatesError."""


class EcbRates:
    """The daily reference rates of the European Central Bank, over HTTP."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        """Read from this address."""
        self._client = client
        self._url = url

    async def read(self) -> Rates:
        """Return the rates of the file's day, of known currencies. Raises RatesError."""
        content = bytearray()
        try:
            async with self._client.stream(
                "GET", self._url, headers={"Accept-Encoding": "identity"}
            ) as answer:
                answer.raise_for_status()
                async for piece in answer.aiter_raw():  # compressed, a piece could be gigabytes
                    content += piece
                    if len(content) > BYTES_MAX:
                        raise RatesError(f"the file of rates has more than {BYTES_MAX} bytes")
        except httpx.HTTPError as error:
            raise RatesError(f"the file of rates cannot be read: {type(error).__name__} {error}") from error
        return parse_ecb(bytes(content))


def parse_ecb(content: bytes) -> Rates:
    """Return the rates of the bank's XML. Raises RatesError.

    Its two elements are read by pattern: there is no entity to expand and nothing nested to follow.
    """
    text = content.decode("utf-8", errors="replace")
    days = _DAY.findall(text)
    found = {code: rate for code, rate in _RATE.findall(text) if code in EXPONENTS and Decimal(rate) > 0}
    if len(days) != 1 or not found:
        raise RatesError("the file of rates has no single day, or no rate")
    try:
        day = date.fromisoformat(days[0])
    except ValueError:
        raise RatesError("the day of the file of rates is none") from None
    as_of_ms = to_instant(datetime.combine(day, time(), UTC))
    return Rates(source=ECB, as_of_ms=as_of_ms, rates={"EUR": "1", **found})


class DevelopmentRates:
    """Invented rates: for development, where it says so every time."""

    async def read(self) -> Rates:
        """Return the table, as if it were of now."""
        _log.warning("rates_are_invented", setting="MNBARA_RATES_URL", currencies=sorted(DEVELOPMENT_RATES))
        return Rates(source=DEVELOPMENT, as_of_ms=now_instant(), rates=DEVELOPMENT_RATES)


async def refuse_rates() -> Rates:
    """Where the market is public and nobody has named a source: nobody shall trade by invented rates."""
    raise RatesError("MNBARA_RATES_URL is not set, and the server is public")


@asynccontextmanager
async def open_rates(url: str, *, is_public: bool = False) -> AsyncIterator[RatesSource]:
    """Open the source that a setting names; without one the table of development, and none where it is public."""
    if not url:
        yield RatesSource(refuse_rates if is_public else DevelopmentRates().read)
        return
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
        yield RatesSource(EcbRates(client, url).read)
