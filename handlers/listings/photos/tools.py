"""What photos need beside the database: the renderer, a process per picture within bounds, and the store of files."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from handlers.domain import ToolContext
from handlers.listings.photos import render_photo
from handlers.listings.photos.render_photo import REFUSED
from handlers.settings import Settings, SettingsError
from protocols.errors import Refusal, TemporarilyUnavailable
from protocols.goods import SIZES, file_name
from protocols.listings.photos import (
    PHOTO_PIXELS_MAX,
    PhotoFormatUnknown,
    PhotoTooDemanding,
    PhotoTooLarge,
    PhotoUnreadable,
)
from storage.engines.objects import Objects, open_objects

RENDERING_MAX = 2
"""Pictures rendered at a time by one process: each takes a core for up to a second."""

WAITING_MAX = 8
"""Pictures that may wait for their turn, about four seconds; beyond that the answer is a temporary refusal at once."""

RENDER_TIMEOUT_S = 6.0
"""Longer than the slowest honest picture takes on a busy machine; then the renderer is killed."""

JPEG = "image/jpeg"

_REFUSALS: dict[bytes, Callable[[], Refusal]] = {
    b"unknown": PhotoFormatUnknown,
    b"broken": PhotoUnreadable,
    b"too_many_pixels": partial(PhotoTooLarge, maximum=PHOTO_PIXELS_MAX),
    b"too_demanding": PhotoTooDemanding,
}
_OUT_OF_TIME = {-signal.SIGXCPU, -signal.SIGKILL}

_PROGRAM = str(Path(render_photo.__file__))
_log = structlog.get_logger()


class _Head(Struct):
    width: int
    height: int
    lengths: list[int]


@dataclass(frozen=True, slots=True)
class RenderedPhoto:
    """A picture made fit to show: pixels of the full size, and the JPEG of each size by its word."""

    width: int
    height: int
    files: Mapping[str, bytes]


class PhotoTools:
    """The renderer and the store of one process."""

    def __init__(self, objects: Objects, *, timeout_s: float = RENDER_TIMEOUT_S) -> None:
        """Keep files among these objects."""
        self._objects = objects
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(RENDERING_MAX)
        self._taken = 0

    async def render(self, content: bytes) -> RenderedPhoto:
        """Return the three sizes of a picture, without its metadata.

        Raises: PhotoFormatUnknown, PhotoUnreadable, PhotoTooLarge, PhotoTooDemanding, TemporarilyUnavailable.
        """
        if self._taken >= RENDERING_MAX + WAITING_MAX:
            raise TemporarilyUnavailable("Too many photos are being taken in; try again in a few seconds")
        self._taken += 1
        try:
            async with self._turns:
                return await self._run(content)
        finally:
            self._taken -= 1

    async def _run(self, content: bytes) -> RenderedPhoto:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            _PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                out, _ = await process.communicate(content)
        except TimeoutError:
            _log.warning("photo_timed_out", bytes=len(content))
            raise TemporarilyUnavailable("The photo took too long to read; try again") from None
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())
        if process.returncode == REFUSED:
            refusal = _REFUSALS[out]()
            raise refusal
        if process.returncode != 0:  # out of memory or time, or the decoder fell over
            _log.warning("photo_renderer_died", returncode=process.returncode, bytes=len(content))
            raise PhotoTooDemanding if process.returncode in _OUT_OF_TIME else PhotoUnreadable
        line, _, rest = out.partition(b"\n")
        head = msgspec.json.decode(line, type=_Head)
        files, at = {}, 0
        for size, length in zip(SIZES, head.lengths, strict=True):
            files[size] = rest[at : at + length]
            at += length
        return RenderedPhoto(head.width, head.height, files)

    async def keep(self, files_id: UUID, rendered: RenderedPhoto) -> None:
        """Put a photo's files into the store; the same ones again change nothing. Raises TemporarilyUnavailable."""
        for size, content in rendered.files.items():
            await self._objects.put(file_name(files_id, size), content, JPEG)

    async def read(self, files_id: UUID, size: str) -> bytes | None:
        """Return one file of a photo, None when it is not there. Raises TemporarilyUnavailable."""
        return await self._objects.get(file_name(files_id, size))

    async def delete(self, files_id: UUID) -> None:
        """Delete a photo's files; those that are gone already stay so. Raises TemporarilyUnavailable."""
        await self._objects.delete([file_name(files_id, size) for size in SIZES])


def open_photo_place(settings: Settings) -> Objects:
    """Open the place of photos. Raises SettingsError when its folder cannot be made or written."""
    place = settings.photos_place
    try:
        return open_objects(place)
    except OSError as error:
        detail = f"MNBARA_PHOTOS_URL must lead to a folder that can be written; {place.folder} cannot: {error.strerror}"
        raise SettingsError(detail) from error


@asynccontextmanager
async def open_photo_tools(context: ToolContext) -> AsyncIterator[PhotoTools]:
    """Open the renderer and the place of photos. Raises SettingsError."""
    yield PhotoTools(open_photo_place(context.settings))
