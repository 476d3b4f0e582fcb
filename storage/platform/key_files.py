"""Secret files: made once by whichever process comes first, then read by all."""

import contextlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any


class KeyFileError(Exception):
    """A key file cannot be used; the message says which, why, and what to do."""


def load_or_create(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON object in `path`, made by `make` when there is none yet. Raises KeyFileError.

    The file appears whole and once, also when several processes start together: it is written under another name
    and linked, and the link of the second one fails.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _publish(path, json.dumps(make(), indent=1).encode())
        return read_keys(path)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read or made: {error.strerror}") from error


def read_keys(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raises KeyFileError, OSError."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise KeyFileError(
            f"{path} is not JSON; restore it from a backup, or remove it for new keys"
        ) from error
    if not isinstance(found, dict):
        raise KeyFileError(f"{path} must hold a JSON object; restore it from a backup")
    return found


def _publish(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its keys are the keys
            path.hardlink_to(draft)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink()
