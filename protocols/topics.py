"""Channel names: their grammar, and what one publication is.

Grammar: `<word>:<id>`; `personal:#<user_id>`; `<word>` alone for what the market has one of. A *replayed* channel
carries every event of one aggregate, numbered 1, 2, 3 …; its name is also the name of the aggregate's stream in the
events table. A *latest* channel carries the newest value only, numbered by the aggregate's own event number. Each
domain names its channels in `protocols/<domain>/channels.py` and describes them in its `DOMAIN`.
"""

from collections.abc import Mapping
from enum import Enum
from uuid import UUID

from msgspec import Struct


class Lane(Enum):
    """How a channel is delivered."""

    REPLAYED = "replayed"
    """Every publication, numbered without gaps, recoverable from any offset; a slow reader is cut and recovers."""
    LATEST = "latest"
    """The newest value per key; a slow reader skips, recovery returns the newest value."""


class Entry(Struct, frozen=True, gc=False):
    """One publication of a channel: its number, its JSON text, its instant, and its key on a latest channel.

    Number 0 is no publication but a sign: the client in `data` came (key `JOIN`) or went (key `LEAVE`). Signs are kept
    nowhere.
    """

    number: int
    data: bytes
    at_ms: int
    key: str = ""
    tags: Mapping[str, str] | None = None
    """Words for filters of subscribers."""
    info: bytes = b""
    """The client that published it, as JSON; empty for what the server says."""


JOIN, LEAVE = "join", "leave"

PERSONAL = "personal"
"""The first word of personal channels."""

PERSONAL_PREFIX = f"{PERSONAL}:#"
"""How every personal channel's name begins."""


def personal_channel(user_id: UUID) -> str:
    """Return the replayed channel (and stream) of one user."""
    return f"{PERSONAL_PREFIX}{user_id}"


def split_channel(channel: str) -> tuple[str, str] | None:
    """Return a channel's first word and the text after the colon, without its `#`; None for what is no such name."""
    word, colon, rest = channel.partition(":")
    return (word, rest.removeprefix("#")) if colon and rest else None


def parse_id(text: str) -> UUID | None:
    """Return the id in canonical spelling, or None: one aggregate has one channel name."""
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None
