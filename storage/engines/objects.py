"""Objects: a folder or an S3-compatible bucket behind one interface; drivers' errors translated into faults.

Where it is, is one URL: empty or `file:///folder` for a folder; `s3://bucket/prefix?endpoint=https://host&region=name`
for a bucket, whose keys come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), never from the URL.
"""

import asyncio
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from protocols.errors import TemporarilyUnavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

REQUEST_TIMEOUT = "4s"
"""One request to a bucket; a photo has about half a megabyte."""

CONNECT_TIMEOUT = "1s"
_RETRIES_MAX = 1

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects are kept: a folder, or a bucket with what its URL says."""

    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = ""


def parse_place(url: str, folder: Path) -> Place:
    """Return where a URL points; `folder` for none. Raises ValueError with a sentence that does not repeat the URL."""
    if not url:
        return Place(folder=folder)
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("must not hold keys; put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or parts.query:
            raise ValueError("must be file:///folder")
        return Place(folder=Path(unquote(parts.path)))
    if parts.scheme != "s3" or not parts.netloc or parts.fragment:
        raise ValueError("must be s3://bucket/prefix or file:///folder")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(asked.keys() - {"endpoint", "region"}):
        raise ValueError(f"knows endpoint and region, not {', '.join(unknown)}")
    endpoint = asked.get("endpoint", "")
    if "endpoint" in asked and not (
        endpoint.startswith(("http://", "https://")) and urlsplit(endpoint).hostname
    ):
        raise ValueError("must have an endpoint that is an http or https URL")
    return Place(None, parts.netloc, unquote(parts.path.strip("/")), endpoint, asked.get("region", ""))


class Objects:
    """Named byte strings that never change."""

    def __init__(self, store: LocalStore | S3Store, folder: Path | None) -> None:
        """Wrap an open store; `open_objects` makes one."""
        self._store = store
        self._folder = folder

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        """Keep an object; it is there for good when this returns. Raises TemporarilyUnavailable."""
        try:
            if self._folder is None:
                await obstore.put_async(
                    self._store, name, content, attributes={"Content-Type": media_type}, use_multipart=False
                )
            else:
                await obstore.put_async(self._store, name, content, use_multipart=False)
                await asyncio.to_thread(_sync, self._folder / name)
        except (BaseError, OSError) as error:
            raise unavailable(error) from error

    async def get(self, name: str) -> bytes | None:
        """Return an object, None when there is none. Raises TemporarilyUnavailable."""
        try:
            found = await obstore.get_async(self._store, name)
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise unavailable(error) from error

    async def delete(self, names: Sequence[str]) -> None:
        """Delete objects; those that are gone already stay so. Raises TemporarilyUnavailable."""
        for name in names:
            try:
                await obstore.delete_async(self._store, name)
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as error:
                raise unavailable(error) from error


def open_objects(place: Place) -> Objects:
    """Return the objects of a place; a folder is made. Raises OSError when it cannot be, or not be written."""
    if place.folder is not None:
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(place.folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place.folder))
        return Objects(LocalStore(place.folder.resolve()), place.folder.resolve())
    config: S3Config = {"region": place.region} if place.region else {}
    if place.endpoint:
        config["endpoint"] = place.endpoint
    client: ClientConfig = {
        "timeout": REQUEST_TIMEOUT,
        "connect_timeout": CONNECT_TIMEOUT,
        "allow_http": place.endpoint.startswith("http://"),
    }
    retries: RetryConfig = {"max_retries": _RETRIES_MAX}
    store = S3Store(
        place.bucket,
        prefix=place.prefix or None,
        config=config,
        client_options=client,
        retry_config=retries,
    )
    return Objects(store, None)


def unavailable(error: BaseException) -> TemporarilyUnavailable:
    """Return the fault for a driver's error, logged with its cause (never shown to callers)."""
    _log.warning("objects_unavailable", error=f"{type(error).__name__}: {error}"[:500])
    return TemporarilyUnavailable("The photo store is out of reach; try again")


def _sync(path: Path) -> None:
    """Have the disk keep a file and its name: the driver renames it into place without."""
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
