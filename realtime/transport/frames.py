"""WebSocket frames: bytes in, messages out; no I/O.

`FrameReader` is the server's side of RFC 6455 section 5 after the handshake: masks required, no extensions, control
frames between fragments, UTF-8 of text, the size bound checked on the header before anything is buffered. It copies
each byte a fixed number of times however the network cuts the stream, and handles a bounded number of frames per call.
"""

from websockets.speedups import apply_mask

from realtime.limits import (
    FRAGMENT_BYTES_MIN,
    FRAGMENTS_MAX,
    MESSAGE_BYTES_MAX,
    TURN_BYTES_MAX,
    TURN_FRAMES_MAX,
)

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
WHOLE_TEXT = 0x80 | TEXT
"""First byte of a text message in one frame."""

PROTOCOL_ERROR, INVALID_PAYLOAD, POLICY_VIOLATION, TOO_BIG = 1002, 1007, 1008, 1009
NO_STATUS, ABNORMAL = 1005, 1006

_CODES_FOR_THE_WIRE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class WireError(Exception):
    """The peer broke the framing rules; the connection closes with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        """Keep code and reason of the close frame."""
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


def build_frame(payload: bytes, opcode: int) -> bytes:
    """Return a whole unmasked frame, ready for the transport."""
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (0x80 | opcode, size, payload)
    if size < 65_536:
        return b"%c\x7e%b%b" % (0x80 | opcode, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (0x80 | opcode, size.to_bytes(8, "big"), payload)


def build_close(code: int, reason: str = "") -> bytes:
    """Return a close frame; the reason is cut at 123 bytes, between characters (RFC 6455 5.5.1)."""
    if code == NO_STATUS:
        return b"\x88\x00"
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return build_frame(code.to_bytes(2, "big") + text, CLOSE)


def split_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Return (opcode, payload) of our own whole, unmasked frames: for transports that do their own framing."""
    parts: list[tuple[int, bytes]] = []
    position = 0
    while position < len(data):
        size, start = data[position + 1], position + 2
        if size == 126:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif size == 127:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        parts.append((data[position] & 0xF, data[start : start + size]))
        position = start + size
    return parts


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return code and reason a peer closed with. Raises WireError 1002, 1007 (RFC 6455 7.4)."""
    if not payload:
        return NO_STATUS, ""
    if len(payload) == 1:
        raise WireError(PROTOCOL_ERROR, "close code cut off")
    code = int.from_bytes(payload[:2], "big")
    if code not in _CODES_FOR_THE_WIRE and not 3000 <= code <= 4999:
        raise WireError(PROTOCOL_ERROR, "invalid close code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        raise WireError(INVALID_PAYLOAD, "close reason is not UTF-8") from error


class FrameReader:
    """Parses one client's stream; a subclass says what happens with messages and control frames."""

    __slots__ = ("fragment_count", "fragments", "needed", "opcode", "pending", "reading", "start")

    def __init__(self) -> None:
        """Start at a frame boundary."""
        self.pending: bytearray | bytes = b""
        """Bytes of an incomplete frame, or of frames that wait for a later turn or for the consumer."""
        self.start = 0
        """Index in `pending` where parsing continues; not 0 only while frames wait."""
        self.needed = 2
        """Length that `pending` must reach before it is parsed again."""
        self.opcode = CONTINUATION
        """TEXT or BINARY while a fragmented message is open."""
        self.fragments: bytearray | None = None
        self.fragment_count = 0
        """Frames of the open message so far."""
        self.reading = True
        """False: the consumer is behind; parsing stops after the current message."""

    def message_received(self, payload: bytes, opcode: int) -> None:
        """Take a whole message; `opcode` is TEXT (valid UTF-8) or BINARY."""
        raise NotImplementedError

    def control_received(self, opcode: int, payload: bytes) -> None:
        """Take a CLOSE, PING or PONG."""
        raise NotImplementedError

    def surplus_received(self) -> None:
        """Count a frame that carries no command: a control frame or a small fragment. May raise WireError."""
        raise NotImplementedError

    def feed(self, data: bytes) -> bool:
        """Parse received bytes; without any, continue where the last call stopped.

        Return whether frames wait for another call: one handles `TURN_FRAMES_MAX` frames, or the frames that begin in
        `TURN_BYTES_MAX` bytes, whatever is less. Raises WireError, which is final. Cost: linear in `data`.
        """
        position = 0
        if self.pending:
            pending = self.pending
            if data:
                if not isinstance(pending, bytearray):
                    pending = self.pending = bytearray(memoryview(pending)[self.start :])
                    self.start = 0
                pending += data
            if len(pending) - self.start < self.needed or not self.reading:
                return False
            data, position = bytes(pending), self.start  # no copy when it is bytes already
            self.pending, self.start = b"", 0
        end = len(data)
        bytes_end, frames_left = position + TURN_BYTES_MAX, TURN_FRAMES_MAX
        self.needed = 2
        while end - position >= 2:
            if not self.reading or not frames_left or position >= bytes_end:
                self.pending, self.start, self.needed = data, position, 0
                return self.reading
            frames_left -= 1
            used = self._frame(data, position, end)
            if used == position:
                break
            position = used
            self.needed = 2
        if position < end:
            self.pending = data[position:]
        return False

    def _frame(self, data: bytes, start: int, end: int) -> int:
        """Handle the frame at `start`; return where the next one begins, or `start` when this one is not whole."""
        first, second = data[start], data[start + 1]
        opcode = first & 0xF
        size = second & 0x7F
        if not second & 0x80:
            raise WireError(PROTOCOL_ERROR, "client frames must be masked")
        if first & 0x70:
            raise WireError(PROTOCOL_ERROR, "reserved bits are set")
        body = start + 6
        if size > 125:
            wide = 2 if size == 126 else 8
            body += wide
            if opcode >= CLOSE:
                raise WireError(PROTOCOL_ERROR, "control frame is too long")
            if end < start + 2 + wide:
                self.needed = 2 + wide
                return start
            size = int.from_bytes(data[start + 2 : start + 2 + wide], "big")
        if first != WHOLE_TEXT:
            self._check(first, opcode)
        if opcode < CLOSE and size + len(self.fragments or b"") > MESSAGE_BYTES_MAX:
            raise WireError(TOO_BIG, "message is too big")
        if end < body + size:
            self.needed = body + size - start
            return start
        payload = apply_mask(data[body : body + size], data[body - 4 : body])
        if first == WHOLE_TEXT and self.fragments is None and payload.isascii():  # nearly every frame
            self.message_received(payload, TEXT)
        else:
            self._payload(first, opcode, payload)
        return body + size

    def _check(self, first: int, opcode: int) -> None:
        """Raise WireError 1002 when this header may not stand here."""
        if opcode >= CLOSE:
            if opcode > PONG:
                raise WireError(PROTOCOL_ERROR, "reserved opcode")
            if not first & 0x80:
                raise WireError(PROTOCOL_ERROR, "control frame is fragmented")
        elif opcode > BINARY:
            raise WireError(PROTOCOL_ERROR, "reserved opcode")
        elif opcode == CONTINUATION and self.fragments is None:
            raise WireError(PROTOCOL_ERROR, "nothing to continue")

    def _payload(self, first: int, opcode: int, payload: bytes) -> None:
        """Pass on a whole message or control frame, or keep a fragment."""
        if opcode >= CLOSE:
            self.surplus_received()
            self.control_received(opcode, payload)
            return
        if self.fragments is not None:
            if opcode != CONTINUATION:
                raise WireError(PROTOCOL_ERROR, "message inside a fragmented message")
            self.fragments += payload
            if not first & 0x80:
                self._count_fragment(payload)
                return
            payload, opcode, self.fragments = bytes(self.fragments), self.opcode, None
        elif not first & 0x80:
            self.fragments, self.opcode, self.fragment_count = bytearray(payload), opcode, 0
            self._count_fragment(payload)
            return
        if opcode == TEXT and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError as error:
                raise WireError(INVALID_PAYLOAD, "text is not UTF-8") from error
        self.message_received(payload, opcode)

    def _count_fragment(self, payload: bytes) -> None:
        """Count a frame after which its message goes on. Raises WireError 1008 when that has too many."""
        self.fragment_count += 1
        if self.fragment_count >= FRAGMENTS_MAX:
            raise WireError(POLICY_VIOLATION, "too many fragments")
        if len(payload) < FRAGMENT_BYTES_MIN:
            self.surplus_received()
