"""Timers: fold what another version of the spelling folded, page by page: rules of goods, listings, saved searches.

A migration sets them. A walk over all rows that found some is made once more later, since a program of the former
version may have written meanwhile.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog

from handlers.contract import Outcome, Stores, Timer
from handlers.listings.searches.anchor_rules import search_anchors
from protocols.places import parse_near
from protocols.texts import FOLD_VERSION
from storage.engines.postgres import Connection
from storage.listings import goods_postgres, listings_postgres
from storage.listings.saved_searches_postgres import SearchRow, lock_unfolded, write_folded
from storage.listings.search_postgres import read_words

PAGE_ROWS = 200
"""Rows of one transaction: a fifth of a second."""

AGAIN_AFTER_MS = 10 * 60_000

_START = UUID(int=0)
_log = structlog.get_logger()


async def fold_rules(_refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Fold the next page of rules of goods."""
    folded = await goods_postgres.fold_rules(stores.db, PAGE_ROWS)
    return _next("fold_rules", _START, [_START] * folded, now_ms)


async def fold_listings(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Fold the next page of listings."""
    after = min(refs)
    return _next(
        "fold_listings", after, await listings_postgres.fold_listings(stores.db, after, PAGE_ROWS), now_ms
    )


async def fold_searches(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Fold the next page of saved searches, and file them anew."""
    after = min(refs)
    rows = await lock_unfolded(stores.db, after, PAGE_ROWS)
    for row in rows:
        await _fold_search(stores.db, row)
    return _next("fold_searches", after, [row.search_id for row in rows], now_ms)


async def _fold_search(db: Connection, row: SearchRow) -> None:
    asked = row.filters
    found = await read_words(db, asked.q) if asked.q.split() else None
    words = found.words if found else None
    circle = (*parse_near(asked.near, "/near"), float(asked.radius_m)) if asked.near else None
    await write_folded(
        db, row.search_id, words, search_anchors(words, asked.seller_id, circle, asked.category or None)
    )


def _next(kind: str, after: UUID, ids: Sequence[UUID], now_ms: int) -> list[Outcome]:
    """Say how far the walk is, and set the timer of its next page or of the next walk; none when nothing was left."""
    if not ids and after == _START:
        _log.info("texts_folded", timer=kind, version=FOLD_VERSION)
        return [Outcome(None)]
    _log.info("folding_texts", timer=kind, rows=len(ids), through=str(ids[-1] if ids else after))
    if len(ids) == PAGE_ROWS:
        return [Outcome(None, timers=[Timer(kind, ids[-1], now_ms)])]
    return [Outcome(None, timers=[Timer(kind, _START, now_ms + AGAIN_AFTER_MS)])]
