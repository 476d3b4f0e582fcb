"""Who may read a photo: everybody, or its owner alone while the listing is a draft."""

from uuid import UUID

from handlers.contract import Caller
from protocols.listings.photos import PhotoNotFound
from storage.engines.postgres import Connection
from storage.listings.photos_postgres import read_owner


async def is_photo_public(db: Connection, photo_id: UUID, caller: Caller) -> bool:
    """Return whether everybody may read it. Raises PhotoNotFound, also for what is another's draft."""
    found = await read_owner(db, photo_id)
    if found is None:
        raise PhotoNotFound
    status, seller_id = found
    if status == "draft" and caller.user_id != seller_id:
        raise PhotoNotFound
    return status != "draft"
