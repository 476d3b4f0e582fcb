"""`GET /v1/photos/{name}`: the files of photos. Their bytes never change, so everybody may keep them for good.

The answer of a draft's photo is for its owner alone and kept nowhere.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog

from handlers.listings.photos.access import find_files
from handlers.listings.photos.tools import PhotoTools
from protocols.goods import parse_name
from protocols.listings.photos import PhotoNotFound
from server.http.callers import Callers
from server.http.conditional import has_tag
from server.http.exchange import Header, Incoming, Reply
from storage.engines.postgres import Connection

COST = 1
"""Rate-limit units of one file."""

_PUBLIC = b"public, max-age=31536000, immutable"
_PRIVATE = b"private, no-store"
_log = structlog.get_logger()


class PhotoPages:
    """Serves files to who may see them."""

    def __init__(
        self,
        connection: Callable[[], AbstractAsyncContextManager[Connection]],
        tools: PhotoTools,
        callers: Callers,
    ) -> None:
        """Ask this database who may see, and these tools for the bytes."""
        self._connection = connection
        self._tools = tools
        self._callers = callers

    async def __call__(self, request: Incoming) -> Reply:
        """Return one file. Raises PhotoNotFound, TemporarilyUnavailable."""
        caller = await self._callers.admit(request, COST)
        named = parse_name(request.path_values["name"])
        if named is None:
            raise PhotoNotFound
        photo_id, size = named
        async with self._connection() as db:
            files_id, is_public = await find_files(db, photo_id, caller)
        tag = f'"{photo_id.hex}-{size}"'.encode()
        headers: list[Header] = [
            (b"etag", tag),
            (b"cache-control", _PUBLIC if is_public else _PRIVATE),
            (b"cross-origin-resource-policy", b"cross-origin"),  # pages of other origins show pictures
            (b"content-disposition", b"inline"),
        ]
        if not is_public:
            headers.append((b"vary", b"Authorization"))
        if has_tag(request, tag):
            return Reply(304, b"", headers)
        content = await self._tools.read(files_id, size)
        if content is None:
            _log.error("photo_file_missing", photo_id=str(photo_id), size=size)
            raise PhotoNotFound
        return Reply(200, content, headers, b"image/jpeg")
