"""Browser origins as a setting names them: one that no browser sends is refused with what to write instead."""

import re
from urllib.parse import urlsplit

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_origin(entry: str) -> None:
    """Raise ValueError with a sentence unless a browser can send this `Origin`, or it is `*`. Source: RFC 6454."""
    if entry in {"*", "null"}:
        return
    if "*" in entry:
        raise ValueError(f"{entry!r} matches nothing: write each origin, or * alone for any")
    try:
        written = _as_browsers_write(entry)
    except ValueError:
        written = ""
    if not _ORIGIN.fullmatch(written):
        raise ValueError(f"{entry!r} is no origin: write one as https://app.example or http://localhost:3000")
    if entry != written:
        raise ValueError(f"{entry!r} is an origin that no browser sends: write {written}")


def _as_browsers_write(entry: str) -> str:
    """Return scheme, host and a port that is not the scheme's own, in small letters. Raises ValueError."""
    parts = urlsplit(entry if "://" in entry else f"https://{entry}")
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode()
    if ":" in host:
        host = f"[{host}]"
    port = parts.port
    shown = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
