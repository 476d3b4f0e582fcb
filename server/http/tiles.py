"""`GET /v1/ledger/tile/{level}/{index}`: the transparency log's tree, as files that never change.

Source: C2SP tlog-tiles. Hashes are for everybody, bundles of entries for administrators: what was logged concerns
its parties alone.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus

from handlers.contract import Caller, Permission
from handlers.ledger.merkle import HASH_BYTES
from handlers.ledger.tiles import LEVEL_MAX, WIDTH, bundle, read_index, tile_width
from protocols.errors import NotAllowed, Unauthenticated
from protocols.ledger.refusals import TileNotFound
from server.http.callers import Callers
from server.http.conditional import digest_tag, has_tag
from server.http.exchange import Header, Incoming, Reply
from storage.engines.postgres import Connection
from storage.ledger.log_postgres import read_entries, read_newest, read_tiles

PATH = "/v1/ledger/tile/{level}/{index:path}"

ENTRIES = "entries"
"""Where a level stands otherwise: bundles of entries."""

COST = 1
"""Rate-limit units of one tile."""

_OCTETS = b"application/octet-stream"
_PUBLIC = b"public, max-age=31536000, immutable"
_PRIVATE = b"private, max-age=31536000, immutable"
_LEVELS = {str(level): level for level in range(LEVEL_MAX + 1)} | {ENTRIES: 0}


class TilePages:
    """Serves tiles, full and partial."""

    def __init__(
        self, connection: Callable[[], AbstractAsyncContextManager[Connection]], callers: Callers
    ) -> None:
        """Read from this database."""
        self._connection = connection
        self._callers = callers

    async def __call__(self, request: Incoming) -> Reply:
        """Return one tile or bundle. Raises TileNotFound, Unauthenticated, NotAllowed."""
        caller = await self._callers.admit(request, COST)
        named = request.path_values["level"]
        level = _LEVELS.get(named)
        found = read_index(str(request.path_values["index"]).lstrip("/"))
        if named == ENTRIES:
            _check_reader(caller)
        if level is None or found is None:
            raise TileNotFound
        index, width = found
        async with self._connection() as db:
            newest = await read_newest(db)
            if newest is None or width > tile_width((level, index), newest.tree_size):
                raise TileNotFound
            content = (
                await _read_bundle(db, index, width)
                if named == ENTRIES
                else (await read_tiles(db, [(level, index)]))[level, index][: width * HASH_BYTES]
            )
        return _answer(request, content, _PRIVATE if named == ENTRIES else _PUBLIC)


async def _read_bundle(db: Connection, index: int, width: int) -> bytes:
    return bundle(row.leaf for row in await read_entries(db, index * WIDTH, width))


def _check_reader(caller: Caller) -> None:
    if caller.user_id is None:
        raise Unauthenticated
    if Permission.ADMIN.value not in caller.roles:
        raise NotAllowed(f"This needs the role {Permission.ADMIN.value}")


def _answer(request: Incoming, content: bytes, kept: bytes) -> Reply:
    tag = digest_tag(content)
    headers: list[Header] = [(b"etag", tag), (b"cache-control", kept)]
    if kept == _PRIVATE:
        headers.append((b"vary", b"Authorization"))
    if has_tag(request, tag):
        return Reply(HTTPStatus.NOT_MODIFIED, b"", headers)
    return Reply(HTTPStatus.OK, content, headers, _OCTETS)
