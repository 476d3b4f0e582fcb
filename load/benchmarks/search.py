"""Searching among 100,000 listings over REST, one after the other: first pages with facets, and pages far behind.

The market is `search_market.sql`, loaded with `psql` on the first run: creating as many listings over REST would take
longer than all other benchmarks. Searches vary from one to the next, so that nothing is answered from habit.
"""

# ruff: noqa: S608 - statements of our own, without any input

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import BenchmarkError, System, running_system
from load.benchmarks.report import Figure
from load.latencies import Latencies

LISTINGS = 100_000
SEARCHES = 40
"""Of each kind, after a few that do not count."""
WARM_UP = 5
DEEP_PAGES, PAGE_MAX = 30, 100
NAIVE_SEARCHES = 5
TARGET_MS = 50
LOAD_TIMEOUT_S = 600.0
TIMEOUT_S = 30.0

Asked = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of search: the n-th of it as REST asks for it, and the condition and order of a plain statement."""

    name: str
    asked: Callable[[int], Asked]
    naive: Callable[[int], str]
    order: str = "listing_id DESC"


def _words(text: str) -> str:
    return " AND ".join(f"(title ILIKE '%{word}%' OR description ILIKE '%{word}%')" for word in text.split())


def _within(lat: float, lon: float, radius_m: int) -> str:
    return f"ST_DWithin(location, ST_MakePoint({lon}, {lat})::geography, {radius_m}, false)"


def _price(n: int) -> tuple[int, int]:
    return 1_000 + 100 * (n % 20), 5_000 + 500 * (n % 20)


KINDS = (
    Kind("everything, newest", lambda n: {"limit": 20 + n % 3}, lambda _n: "true"),
    Kind(
        "a word of 89 in 100 titles",
        lambda n: {"q": "original", "limit": 20 + n % 3},
        lambda _n: _words("original"),
    ),
    Kind(
        "two common words",
        lambda n: {"q": "original vintage", "limit": 20 + n % 3},
        lambda _n: _words("original vintage"),
    ),
    Kind(
        "a word of 1 in 10 titles",
        lambda n: {"q": "walnut", "limit": 20 + n % 3},
        lambda _n: _words("walnut"),
    ),
    Kind("a rare word", lambda n: {"q": f"sextant lot{n}"}, lambda n: _words(f"sextant lot{n}")),
    Kind(
        "a common word misspelt",
        lambda n: {"q": ("orginall", "vintgae")[n % 2]},
        lambda _n: _words("original"),
    ),
    Kind(
        "a price range, newest",
        lambda n: {"currency": "EUR", "min_price": _price(n)[0], "max_price": _price(n)[1]},
        lambda n: "currency = 'EUR' AND price_minor BETWEEN {} AND {}".format(*_price(n)),
    ),
    Kind(
        "a currency and a price, cheapest",
        lambda n: {"currency": "JPY", "max_price": _price(n)[1], "sort": "price_asc"},
        lambda n: f"currency = 'JPY' AND price_minor <= {_price(n)[1]}",
        "price_minor, listing_id",
    ),
    Kind(
        "a word and a category, dearest",
        lambda n: {
            "q": "vintage",
            "category": ("family", "media")[n % 2],
            "currency": "EUR",
            "sort": "price_desc",
        },
        lambda n: (
            f"{_words('vintage')} AND currency = 'EUR' AND category IN (SELECT slug FROM categories"
            f" WHERE parent_slug = '{('family', 'media')[n % 2]}')"
        ),
        "price_minor DESC NULLS LAST, listing_id",
    ),
    Kind(
        "within 50 km, nearest",
        lambda n: {"near": f"{52.52 + n / 1000},13.405", "sort": "distance"},
        lambda n: _within(52.52 + n / 1000, 13.405, 50_000),
        "ST_Distance(location, ST_MakePoint(13.405, 52.52)::geography, false)",
    ),
    Kind(
        "within 2,000 km, nearest",
        lambda n: {"near": f"{52.52 + n / 1000},13.405", "radius_m": 2_000_000, "sort": "distance"},
        lambda n: _within(52.52 + n / 1000, 13.405, 2_000_000),
        "ST_Distance(location, ST_MakePoint(13.405, 52.52)::geography, false)",
    ),
    Kind(
        "a word within 2,000 km",
        lambda n: {"q": "vintage", "near": f"{52.52 + n / 1000},13.405", "radius_m": 2_000_000},
        lambda n: f"{_words('vintage')} AND {_within(52.52 + n / 1000, 13.405, 2_000_000)}",
    ),
)


async def measure(home: Path) -> list[Figure]:
    """Load the market where it is missing, then search it kind by kind."""
    async with running_system(home / "search", 1) as system:
        await asyncio.to_thread(_load_market, system)
        async with httpx.AsyncClient(base_url=system.base_url, timeout=TIMEOUT_S) as client:
            figures = []
            deep = Latencies()
            for kind in KINDS:
                meter = CpuMeter(system.groups())
                found = await _search(client, kind)
                used_s = meter.used_s()
                await _page_deep(client, kind, deep)
                naive = await asyncio.to_thread(_search_naively, system, kind)
                figures.append(_figure(kind, found, naive, used_s))
    figures.append(
        Figure(
            benchmark="search",
            what=f"p95 of a page behind {DEEP_PAGES} pages of {PAGE_MAX}, all kinds",
            value=deep.ms(0.95),
            unit="ms",
            target=TARGET_MS,
            notes={"latency": deep.in_words()},
        )
    )
    return figures


def _figure(kind: Kind, found: Latencies, naive: Latencies, used_s: Mapping[str, float]) -> Figure:
    return Figure(
        benchmark="search",
        what=f"p95 of {kind.name}",
        value=found.ms(0.95),
        unit="ms",
        baseline=naive.ms(0.95),
        baseline_is="a page and the number of matches by ILIKE, ST_DWithin and ORDER BY on the same table",
        target=TARGET_MS,
        notes={
            "latency": found.in_words(),
            **{
                f"CPU ms per search {name}": used_s[name] * 1000 / (WARM_UP + SEARCHES)
                for name in ("server", "postgres")
            },
        },
    )


async def _search(client: httpx.AsyncClient, kind: Kind) -> Latencies:
    """Return how long first pages take."""
    took = Latencies()
    for number in range(WARM_UP + SEARCHES):
        at = time.monotonic()
        page = await _ask(client, kind.asked(number))
        if number >= WARM_UP:
            took.add(time.monotonic() - at)
        _check(kind, page)
    return took


async def _page_deep(client: httpx.AsyncClient, kind: Kind, deep: Latencies) -> None:
    """Measure a page far behind the first, where a kind has so many."""
    asked = kind.asked(0) | {"limit": PAGE_MAX}
    page = await _ask(client, asked)
    for _ in range(DEEP_PAGES):
        if page["next_cursor"] is None:
            return
        page = await _ask(client, asked | {"cursor": page["next_cursor"]})
    for _ in range(SEARCHES // 4):
        at = time.monotonic()
        await _ask(client, asked | {"cursor": page["next_cursor"]})
        deep.add(time.monotonic() - at)


async def _ask(client: httpx.AsyncClient, asked: Asked) -> dict[str, Any]:
    answer = await client.get("/v1/listings", params=asked)
    if answer.status_code != 200:
        raise BenchmarkError(f"search {asked}: {answer.status_code} {answer.text[:200]}")
    found: dict[str, Any] = answer.json()
    return found


def _check(kind: Kind, page: dict[str, Any]) -> None:
    """Raises BenchmarkError when facets do not add up to the matches they were counted over."""
    facets = page["facets"]
    counted = sum(condition["count"] for condition in facets["condition"])
    if counted != facets["matches"] or len(page["items"]) > facets["matches"]:
        raise BenchmarkError(f"{kind.name}: {counted} by condition, {facets['matches']} matches")


def _load_market(system: System) -> None:
    """Fill the private database, unless an earlier run has."""
    if _psql(system, "SELECT count(*) FROM listings;") != str(LISTINGS):
        _psql(system, Path(__file__).with_name("search_market.sql").read_text())


def _search_naively(system: System, kind: Kind) -> Latencies:
    """Return how long the plain statement takes, as psql times it."""
    statements = "".join(
        f"SELECT *, count(*) OVER () FROM listings WHERE status = 'active' AND {kind.naive(number)}"
        f" ORDER BY {kind.order} LIMIT 20;\n"
        for number in range(NAIVE_SEARCHES + 1)
    )
    told = _psql(system, f"\\timing on\n\\o /dev/null\n{statements}")
    times = [float(line.split()[1]) / 1000 for line in told.splitlines() if line.startswith("Time:")]
    if len(times) != NAIVE_SEARCHES + 1:
        raise BenchmarkError(f"{kind.name}: psql told {len(times)} times")
    return Latencies(times[1:])


def _psql(system: System, text: str) -> str:
    """Run SQL in the private database; return what it tells. Raises BenchmarkError."""
    program = shutil.which("psql")
    if program is None:
        raise BenchmarkError("psql is not on the PATH")
    command = [program, "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", system.postgres_dsn()]
    ran = subprocess.run(  # noqa: S603 - our own statements
        command, input=text, capture_output=True, text=True, timeout=LOAD_TIMEOUT_S, check=False
    )
    if ran.returncode != 0:
        raise BenchmarkError(f"psql: {ran.stderr.strip()[:400]}")
    return ran.stdout.strip()
