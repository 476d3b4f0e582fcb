"""Fossil delta: a text as copies from the text before it, and inserted bytes.

Form: size of the target, newline, then `n@off,` (copy from the source) and `n:bytes` (insert), then the target's
checksum and `;`, numbers in base 64. For JSON clients the delta is part of a JSON string, so inserts begin and end at
code points when both texts are UTF-8. Source: the delta format of the Fossil version control system.
"""

import struct

BLOCK = 16
"""Bytes that must be equal before a copy is considered."""
_TRIES = 4
"""Offsets with the same block that are compared for the longest copy."""
_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}


class DeltaError(ValueError):
    """The bytes are no delta, or a delta from another source."""


def make_delta(source: bytes, target: bytes) -> bytes:
    """Return a delta that turns `source` into `target`. Cost: linear in both."""
    parts = [_number(len(target)), b"\n"]
    done = 0
    for start, end, offset in _copies(source, target):
        if start > done:
            parts += (_number(start - done), b":", target[done:start])
        parts += (_number(end - start), b"@", _number(offset), b",")
        done = end
    if done < len(target):
        parts += (_number(len(target) - done), b":", target[done:])
    parts += (_number(_checksum(target)), b";")
    return b"".join(parts)


def apply_delta(source: bytes, delta: bytes) -> bytes:
    """Return the target. Raises DeltaError."""
    size, at = _read_number(delta, 0)
    if delta[at : at + 1] != b"\n":
        raise DeltaError("no size")
    at += 1
    parts: list[bytes] = []
    while True:
        number, at = _read_number(delta, at)
        command, at = delta[at : at + 1], at + 1
        if command == b":":
            parts.append(delta[at : at + number])
            at += number
        elif command == b"@":
            offset, at = _read_number(delta, at)
            if delta[at : at + 1] != b"," or offset + number > len(source):
                raise DeltaError("a copy from outside the source")
            parts.append(source[offset : offset + number])
            at += 1
        elif command == b";":
            target = b"".join(parts)
            if len(target) != size or _checksum(target) != number:
                raise DeltaError("size or checksum differs")
            return target
        else:
            raise DeltaError("no such command")


def _copies(source: bytes, target: bytes) -> list[tuple[int, int, int]]:
    """Return (start, end, offset in source) of the parts of the target to copy, ascending, not overlapping."""
    index: dict[bytes, list[int]] = {}
    for offset in range(0, len(source) - BLOCK + 1, BLOCK):
        offsets = index.setdefault(source[offset : offset + BLOCK], [])
        if len(offsets) < _TRIES:
            offsets.append(offset)
    found: list[tuple[int, int, int]] = []
    done = at = 0
    # Common beginnings and ends are found without the index, also those shorter than a block.
    if head := _run(source, target, 0, 0):
        done = at = _add(found, target, 0, head, 0)
    while at + BLOCK <= len(target):
        candidates = index.get(target[at : at + BLOCK])
        best = (0, 0, 0)
        for offset in candidates or ():
            back = _run_back(source, target, offset, at, done)
            length = back + _run(source, target, offset, at)
            best = max(best, (length, at - back, offset - back))
        length, start, offset = best
        end = _add(found, target, start, start + length, offset) if length else 0
        if end > at:
            done = at = end
        else:
            at = max(at + 1, start + length - BLOCK)  # a run that is no worthwhile copy is measured once
    back = _run_back(source, target, len(source), len(target), done)
    _add(found, target, len(target) - back, len(target), len(source) - back)
    return found


def _add(found: list[tuple[int, int, int]], target: bytes, start: int, end: int, offset: int) -> int:
    """Keep a copy, cut to code points, unless it takes as many bytes as it saves; return where it ends, or 0."""
    first = start
    while start < end and target[start] & 0xC0 == 0x80:
        start += 1
    while end < len(target) and end > start and target[end] & 0xC0 == 0x80:
        end -= 1
    offset += start - first
    if end - start <= len(_number(end - start)) + len(_number(offset)) + 4:
        return 0
    found.append((start, end, offset))
    return end


def _run(source: bytes, target: bytes, offset: int, at: int) -> int:
    """Return how many bytes are equal from these offsets on."""
    most = min(len(source) - offset, len(target) - at)
    length, step = 0, 32
    while length < most:
        step = min(step, most - length)
        if source[offset + length : offset + length + step] == target[at + length : at + length + step]:
            length += step
            step *= 2
        elif step == 1:
            break
        else:
            most = length + step - 1  # they differ within this step
            step //= 2
    return length


def _run_back(source: bytes, target: bytes, offset: int, at: int, done: int) -> int:
    """Return how many bytes before these offsets are equal, no further back than `done` in the target."""
    most = min(offset, at - done)
    length = 0
    while length < most and source[offset - length - 1] == target[at - length - 1]:
        length += 1
    return length


def _number(value: int) -> bytes:
    """Return a number in base 64, the highest digit first."""
    if value < 64:
        return _DIGITS[value : value + 1]
    digits = bytearray()
    while value:
        digits.append(_DIGITS[value & 63])
        value >>= 6
    digits.reverse()
    return bytes(digits)


def _read_number(delta: bytes, at: int) -> tuple[int, int]:
    value = 0
    first = at
    while at - first < 12 and at < len(delta) and (digit := _VALUES.get(delta[at])) is not None:
        value = value << 6 | digit
        at += 1
    if not 0 < at - first <= 11:
        raise DeltaError("no number")
    return value, at


def _checksum(data: bytes) -> int:
    """Return the sum of the big-endian words, the last one filled up with zeros."""
    data += bytes(-len(data) % 4)
    words: tuple[int, ...] = struct.unpack(f">{len(data) // 4}I", data)
    return sum(words) & 0xFFFF_FFFF
