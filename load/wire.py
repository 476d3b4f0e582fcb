"""How the public interface writes things down: where its socket is, and what a time looks like."""

from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit


def websocket_url(base_url: str) -> str:
    """Return where the Centrifuge SDKs connect, for the URL where REST answers."""
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/connection/websocket", "", ""))


def wire_time(seconds: float) -> str:
    """Return seconds since the epoch as the wire wants them."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
