"""What a device shows to be known to accounts that it has signed in to.

It shows a list of markers, the newest first: one for each account, for several people share a device. A marker is 256
random bits, so its plain hash is enough to find it by, and tells nothing.
"""

import hashlib
import re
import secrets
from uuid import UUID

from handlers.auth.rules import DEVICES_MAX, MARKERS_MAX
from storage.auth.devices_postgres import insert_device, touch_device
from storage.engines.postgres import Connection

_MARKER_BYTES = 32
_MARKERS = re.compile(rf"[\w-]{{43}}(\.[\w-]{{43}}){{0,{MARKERS_MAX - 1}}}", re.ASCII)


def hash_markers(device_token: str) -> list[bytes]:
    """Return the hashes of the markers in what a device shows; none of what is no such text."""
    if not _MARKERS.fullmatch(device_token):
        return []
    return [hashlib.sha256(marker.encode()).digest() for marker in device_token.split(".")]


async def remember_device(db: Connection, user_id: UUID, device_token: str, now_ms: int) -> str:
    """Know the device from now on; return what it shall show: the same when it was known. Cost: two round trips."""
    hashes = hash_markers(device_token)
    if hashes and await touch_device(db, user_id, hashes, now_ms):
        return device_token
    marker = secrets.token_urlsafe(_MARKER_BYTES)
    (marker_hash,) = hash_markers(marker)
    await insert_device(db, user_id, marker_hash, now_ms, DEVICES_MAX)
    kept = device_token.split(".") if hashes else []
    return ".".join([marker, *kept][:MARKERS_MAX])
