"""JSON objects that name a member twice: parsers differ about which value counts, so neither does.

Source: RFC 8259 section 4, RFC 7493 section 2.3. Our decoder takes the last one silently. What it took is written again
and has a colon less for each member that it dropped, since texts keep theirs: two passes in C, one count each.
"""

import msgspec

_decode = msgspec.json.Decoder(float_hook=str).decode
_decode_top = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def repeats(data: bytes) -> bool:
    """Whether an object in valid JSON has a name twice, at any depth. Linear: 5 ms for 256 KiB at worst.

    Raises: msgspec.DecodeError, ValueError, RecursionError for what is no JSON.
    """
    return _colons(data) != _colons(_encode(_decode(data)))


def repeats_at_top(data: bytes) -> bool:
    """Whether a JSON object has one of its own members twice; their values are not looked into. Raises as `repeats`."""
    return _colons(data) != _colons(_encode(_decode_top(data)))


def _colons(data: bytes) -> int:
    colons = data.count(b":")
    if b"\\u003" in data:
        escaped = data.replace(b"\\\\", b"--")  # without backslashes that are escaped themselves
        colons += escaped.count(b"\\u003a") + escaped.count(b"\\u003A")
    return colons
