"""Viewer count of an auction: connections that follow it now, over all processes. Source: decision 0067."""

from uuid import UUID

from handlers.contract import Stores
from protocols.errors import TemporarilyUnavailable
from storage.platform.viewer_counts_redis import count_viewers

ANSWER_MS = 1_000
"""How long an answer is good, also None: a page waits for Redis at most once a second."""

ANSWERS_MAX = 10_000
"""Answers in memory, about 150 bytes each."""

_answers: dict[UUID, tuple[int, int | None]] = {}
"""When it was asked, and the answer; the oldest entry is dropped when it is full."""

_away_until_ms = 0


async def read_viewer_count(stores: Stores, auction_id: UUID, now_ms: int) -> int | None:
    """Return how many follow the auction, a few seconds old, or None when nobody knows. Cost: a round trip a second."""
    global _away_until_ms
    known = _answers.get(auction_id)
    if known is not None and 0 <= now_ms - known[0] < ANSWER_MS:
        return known[1]
    if now_ms < _away_until_ms:
        return None
    try:
        count: int | None = await count_viewers(stores.redis, str(auction_id))
    except TemporarilyUnavailable:
        count, _away_until_ms = None, now_ms + ANSWER_MS
    _answers.pop(auction_id, None)
    _answers[auction_id] = (now_ms, count)
    if len(_answers) > ANSWERS_MAX:
        del _answers[next(iter(_answers))]
    return count
