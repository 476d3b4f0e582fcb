"""Values every domain speaks: ids, instants, money, points. Units live here.

Ids are UUIDv7 (RFC 9562 section 5.7). Inside the server an instant is an int of milliseconds since the Unix epoch
(names end in `_at_ms`); on the wire it is RFC 3339 UTC with three decimals. Money is an int of minor units.
"""

import os
import time
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, SafeUUID

import msgspec
from msgspec import Meta, Struct

Timestamp = Annotated[
    str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-11-22T18:30:00.000Z"])
]
"""An instant in an answer or event: RFC 3339, UTC, milliseconds."""

InputTime = Annotated[datetime, Meta(tz=True, examples=["2026-11-22T18:30:00Z"])]
"""An instant in a command: RFC 3339 with any offset; `to_instant` makes it milliseconds."""

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", max_length=3, examples=["EUR"])]
"""ISO 4217 alphabetic code of an active currency; funds, metals and withdrawn codes are refused."""

AMOUNT_MAX = 9_007_199_254_740_991
"""The largest amount, given or derived: the largest integer JavaScript keeps exact."""

AmountMinor = Annotated[int, Meta(ge=1, le=AMOUNT_MAX, examples=[1250])]
"""A positive number of minor units."""

Key = Annotated[str, Meta(max_length=64, examples=["5d2f4c1e-8a0b-4f6e-9c37-2b1a6e0d9f84"])]
"""An idempotency key made by the client; empty means none was given."""

Cursor = Annotated[str, Meta(max_length=512, examples=["WzE3OTU1MDAwMDAwMDAsIjAxOWFiM2MwIl0"])]
"""An opaque position in a list, as given in `next_cursor`."""

PageLimit = Annotated[int, Meta(ge=1, le=100, examples=[20])]
"""How many items one page may carry."""


class Money(Struct, frozen=True):
    """An amount of one currency, in its minor unit."""

    amount: Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    currency: Currency


class GeoPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """A WGS 84 position in degrees."""

    lat: Annotated[float, Meta(ge=-90, le=90, examples=[52.52])]
    lon: Annotated[float, Meta(ge=-180, le=180, examples=[13.405])]


class Position(Struct, frozen=True):
    """Where a resource's channel stood when the resource was read; subscribe from exactly there."""

    channel: str
    epoch: str
    offset: int


_set = object.__setattr__
_unknown_safety = SafeUUID.unknown
_last_id_ms = 0
_id_counter = 0

_ID_BYTES = 8
_ID_BYTES_AT_ONCE = 512 * _ID_BYTES
"""Random bytes asked of the kernel at a time: a call takes longer than all the rest of an id."""
_random, _random_at = b"", 0


def new_id() -> UUID:
    """Return a UUIDv7; ids of one process ascend even within a millisecond (counter in rand_a, RFC 9562 6.2)."""
    # one monotonic sequence per process is the point
    global _last_id_ms, _id_counter, _random, _random_at  # noqa: PLW0603
    now_ms = time.time_ns() // 1_000_000
    if now_ms > _last_id_ms:
        _last_id_ms = now_ms
        _id_counter = int.from_bytes(os.urandom(1), "big")
    else:
        _id_counter += 1
        if _id_counter > 0xFFF:
            _last_id_ms += 1
            _id_counter = 0
    if _random_at == len(_random):
        _random, _random_at = os.urandom(_ID_BYTES_AT_ONCE), 0
    at, _random_at = _random_at, _random_at + _ID_BYTES
    random_bits = int.from_bytes(_random[at:_random_at], "big") & 0x3FFF_FFFF_FFFF_FFFF
    made = UUID.__new__(UUID)  # as UUID(int=…) does, without its checks: half the time
    _set(made, "int", (_last_id_ms << 80) | (0x7 << 76) | (_id_counter << 64) | (0x2 << 62) | random_bits)
    _set(made, "is_safe", _unknown_safety)
    return made


def now_instant() -> int:
    """Return the server's clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def to_instant(moment: datetime) -> int:
    """Return milliseconds since the epoch of an aware datetime, rounded down."""
    return int(moment.timestamp() * 1000)


def to_timestamp(instant_ms: int) -> str:
    """Return the wire form of an instant: `2026-11-22T18:30:00.000Z`."""
    seconds, ms = divmod(instant_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{ms:03d}Z"


def to_json(value: object) -> bytes:
    """Encode any wire value; the one JSON encoder of the server."""
    return _json.encode(value)


_json = msgspec.json.Encoder()
