"""Timer: delete the files of photos that no listing shows: of uploads that came to nothing, of deleted photos."""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from handlers.listings.photos.tools import PhotoTools
from storage.listings.photos_postgres import take_unused

SWEPT_MAX = 20
"""Photos swept in one transaction: sixty requests to the store."""


async def sweep_photos(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Delete files while their rows are locked, so that an upload of the same picture waits and stores them again.

    Raises: TemporarilyUnavailable when the store is away; the timers are tried again.
    """
    photo_ids = list(dict.fromkeys(refs))
    await stores.need(PhotoTools).forget(await take_unused(stores.db, photo_ids[:SWEPT_MAX], now_ms))
    later = [Timer("sweep_photos", photo_id, now_ms) for photo_id in photo_ids[SWEPT_MAX:]]
    return [Outcome(None, timers=later)]
