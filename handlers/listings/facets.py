"""Facets of a search as its caller sees them: counts of one pass, split by what they count."""

from collections import Counter

from protocols.listings.commands import Count, Facets, PriceBand, PriceBands
from storage.listings.search_postgres import (
    BAND_STARTS,
    BY_CATEGORY,
    BY_CONDITION,
    BY_PRICE,
    FacetRow,
    FacetRows,
)

COUNTS_MAX = 20
"""Values that a facet shows at most, the most frequent."""


def to_facets(counted: FacetRows) -> Facets:
    """Return the counts of each facet, the most frequent value first."""
    priced = [row for row in counted.rows if row.kind == BY_PRICE and row.currency is not None]
    conditions = _count_by("condition", BY_CONDITION, counted.rows)
    matches = sum(condition.count for condition in conditions)
    currencies = _count_by("currency", BY_PRICE, priced)
    return Facets(
        matches=matches,
        capped=matches >= counted.most,
        category=_count_by("category", BY_CATEGORY, counted.rows),
        condition=conditions,
        currency=currencies,
        price=_to_bands(currencies[0].value, priced) if currencies else None,
    )


def _count_by(name: str, kind: int, rows: list[FacetRow]) -> list[Count]:
    """Return the most frequent values of a column and how often they occur; equally frequent ones by name."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row.kind == kind:
            counts[getattr(row, name)] += row.count
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Count(value=value, count=count) for value, count in ordered[:COUNTS_MAX]]


def _to_bands(currency: str, priced: list[FacetRow]) -> PriceBands:
    """Return the price bands of a currency, the cheapest first."""
    counts = {row.band: row.count for row in priced if row.currency == currency and row.band}
    return PriceBands(currency=currency, bands=[_to_band(*item) for item in sorted(counts.items())])


def _to_band(index: int, count: int) -> PriceBand:
    """Return the band at an index from 1; the last has no end."""
    to_amount = BAND_STARTS[index] if index < len(BAND_STARTS) else None
    return PriceBand(from_amount=BAND_STARTS[index - 1], to_amount=to_amount, count=count)
