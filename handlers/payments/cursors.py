"""Where a list of entries stands, as the opaque text of `next_cursor`."""

import base64
import binascii

from protocols.errors import InvalidInput

_FIRST = 2**63 - 1


def write_number(last: int) -> str:
    """Return the cursor of the page behind a number, in a list that descends by number."""
    return base64.urlsafe_b64encode(str(last).encode()).rstrip(b"=").decode()


def read_number(cursor: str) -> int:
    """Return the number a page is behind; above all others without a cursor. Raises InvalidInput."""
    if not cursor:
        return _FIRST
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        text = b""
    if not (text.isdigit() and len(text) <= len(str(_FIRST)) and int(text) <= _FIRST):
        raise InvalidInput(errors=[{"pointer": "/cursor", "detail": "This is not a cursor of ours"}])
    return int(text)
