"""The keys of the log and of the witness: a file in the folder of secrets, made at the first start.

`ledger_keys.json` holds two Ed25519 keys with their names. The log's name is its origin and stays what it was at the
first start, whatever the installation's URL is later: those who check know the log by it. A log whose key file is lost
is not continued with another key; the file belongs into the backup.
"""

import base64
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from handlers.domain import ToolContext
from handlers.ledger.notes import COSIGNATURE, SIGNATURE, BadNoteError, NoteKey, Signer, read_vkey
from handlers.settings import Settings, SettingsError
from storage.platform.key_files import KeyFileError, load_or_create, read_keys

FILE = "ledger_keys.json"

PREFIX = "/v1/ledger"
"""Where the log is served; its origin is the first URL of that place without the scheme."""


class LedgerKeys:
    """What this installation signs with, and whose checkpoints it witnesses."""

    def __init__(self, folder: Path, url: str, witnessed: Iterable[NoteKey] = ()) -> None:
        """Read the file, or make it with new keys named after the URL. Raises KeyFileError."""
        path = folder / FILE
        content = load_or_create(path, lambda: _new_keys(url))
        self.log = _signer(path, content, "log", SIGNATURE)
        self.witness = _signer(path, content, "witness", COSIGNATURE)
        self.witnessed: Mapping[str, NoteKey] = {key.name: key for key in (*witnessed, self.log.key)}
        """The keys of logs, by origin."""

    @property
    def origin(self) -> str:
        """The first line of our checkpoints."""
        return self.log.key.name


def find_vkey(folder: Path) -> str | None:
    """Return the verifier key of the log whose keys are in a folder; None without them. Raises KeyFileError."""
    path = folder / FILE
    if not path.exists():
        return None
    return _signer(path, read_keys(path), "log", SIGNATURE).key.vkey


def read_witnessed(settings: Settings) -> list[NoteKey]:
    """Return the keys of the logs that the settings name. Raises SettingsError."""
    found = []
    for text in filter(None, map(str.strip, settings.witnessed_logs.split(","))):
        try:
            key = read_vkey(text)
        except BadNoteError as error:
            raise SettingsError(f"MNBARA_WITNESSED_LOGS: {text[:80]!r}: {error}") from None
        if key.kind != SIGNATURE:
            raise SettingsError(f"MNBARA_WITNESSED_LOGS: {key.name} is the key of a witness, not of a log")
        found.append(key)
    return found


@asynccontextmanager
async def open_ledger_keys(context: ToolContext) -> AsyncIterator[LedgerKeys]:
    """Read the keys of this installation, making them at the very first start. Raises KeyFileError, SettingsError."""
    settings = context.settings
    yield LedgerKeys(settings.secrets_folder, settings.url, read_witnessed(settings))


def _new_keys(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    origin = re.sub(r"[\s+]", "-", f"{parts.netloc}{parts.path.rstrip('/')}{PREFIX}")
    return {"log": _new_key(origin), "witness": _new_key(f"{origin}/witness")}


def _new_key(name: str) -> dict[str, str]:
    return {"name": name, "seed": base64.b64encode(secrets.token_bytes(32)).decode()}


def _signer(path: Path, content: dict[str, Any], part: str, kind: int) -> Signer:
    try:
        entry = content[part]
        return Signer.of_seed(entry["name"], kind, base64.b64decode(entry["seed"], validate=True))
    except (KeyError, TypeError, ValueError, BadNoteError) as error:
        raise KeyFileError(
            f"{path} must hold `{part}` with a `name` and a `seed` of 32 bytes; restore it from a backup"
        ) from error
