"""Timer and job: delete the files of photos that no listing shows: of uploads that came to nothing, of deleted photos.

The timer marks the photo as unused and asks for the job, in one transaction; the job deletes the files, outside of any;
its end forgets the photo. No lock is held meanwhile, so an upload of the same picture may come at any point:

- before the mark: it holds the photo, and the timer leaves it alone;
- after the mark: it takes the photo back under a new id of files, stores those, and shows them. The job deletes the
  former files, and its end finds nothing to forget;
- after the end: there is no such photo, and it begins as the first.

Ids of files are never used again, so a job that runs twice, or late, deletes what nobody shows. Killed between mark and
end, the job is run again; killed before the mark, the timer is.
"""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import JobRequest, Outcome, Stores, Timer
from handlers.domain import Job, JobContext
from handlers.listings.photos.tools import PhotoTools
from storage.listings.photos_postgres import forget_files, mark_unused

SWEPT_MAX = 200
"""Photos marked in one transaction."""

DELETE_FILES = "listings.delete_files"


async def sweep_photos(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Mark photos that nobody holds or shows, and have their files deleted."""
    photo_ids = list(dict.fromkeys(refs))
    unused = await mark_unused(stores.db, photo_ids[:SWEPT_MAX], now_ms)
    jobs = [JobRequest(DELETE_FILES, files_id) for files_id in unused]
    later = [Timer("sweep_photos", photo_id, now_ms) for photo_id in photo_ids[SWEPT_MAX:]]
    return [Outcome(None, timers=later, jobs=jobs)]


async def delete_files(job: Job, context: JobContext) -> None:
    """Delete the files of a photo that was marked. Raises TemporarilyUnavailable when the store is away."""
    await context.need(PhotoTools).delete(job.ref)


async def forget_deleted(job: Job, _result: None, stores: Stores, _now_ms: int) -> Outcome:
    """Forget the photo, unless an upload took it back."""
    await forget_files(stores.db, job.ref)
    return Outcome(None)
