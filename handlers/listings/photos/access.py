"""Who may read a photo: everybody, or its owner alone while the listing is a draft."""

from uuid import UUID

from handlers.contract import Caller
from protocols.listings.photos import PhotoNotFound
from storage.engines.postgres import Connection
from storage.listings.photos_postgres import read_owner


async def find_files(db: Connection, photo_id: UUID, caller: Caller) -> tuple[UUID, bool]:
    """Return the id of a photo's files, and whether everybody may read them.

    Raises PhotoNotFound, also for what is another's draft.
    """
    found = await read_owner(db, photo_id)
    if found is None:
        raise PhotoNotFound
    status, seller_id, files_id = found
    if status == "draft" and caller.user_id != seller_id:
        raise PhotoNotFound
    return files_id, status != "draft"
