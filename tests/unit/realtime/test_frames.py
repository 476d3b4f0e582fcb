"""The frame parser against RFC 6455: every broken rule has its close code, however the stream is cut."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.speedups import apply_mask

from realtime.limits import FRAGMENTS_MAX, TURN_BYTES_MAX, TURN_FRAMES_MAX
from realtime.transport.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameReader,
    WireError,
    build_close,
    build_frame,
    parse_close,
    split_frames,
)

MASK = b"\x11\x22\x33\x44"


class Reader(FrameReader):
    def __init__(self, pause_after: int = 0):
        super().__init__()
        self.seen = []
        self.surplus = 0
        self.pause_after = pause_after

    def message_received(self, payload, opcode):
        self.seen.append((opcode, payload))
        if self.pause_after and len(self.seen) % self.pause_after == 0:
            self.reading = False

    def control_received(self, opcode, payload):
        self.seen.append((opcode, payload))

    def surplus_received(self):
        self.surplus += 1


def client_frame(payload: bytes, opcode: int, *, fin: bool = True, rsv: int = 0) -> bytes:
    first = (0x80 if fin else 0) | rsv | opcode
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65_536:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + MASK + apply_mask(payload, MASK)


def read(data: bytes, step: int = 0) -> list:
    reader = Reader()
    for start in range(0, len(data), step or max(1, len(data))):
        more = reader.feed(data[start : start + (step or len(data))])
        while more:
            more = reader.feed(b"")
    return reader.seen


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
@pytest.mark.parametrize("step", [0, 1, 7, 4096])
def test_message_of_any_length_form_arrives_however_it_is_cut(size, step):
    payload = b"x" * size
    assert read(client_frame(payload, TEXT) + client_frame(b"next", BINARY), step) == [
        (TEXT, payload),
        (BINARY, b"next"),
    ]


@pytest.mark.parametrize("step", [0, 1])
def test_control_frames_may_stand_between_fragments(step):
    data = (
        client_frame("grü".encode()[:3], TEXT, fin=False)
        + client_frame(b"p", PING)
        + client_frame(b"", CONTINUATION, fin=False)
        + client_frame("grü".encode()[3:] + b"n", CONTINUATION)
    )
    assert read(data, step) == [(PING, b"p"), (TEXT, "grün".encode())]


BROKEN = {
    "unmasked frame": (b"\x81\x02hi", 1002),
    "reserved bit 1": (client_frame(b"x", TEXT, rsv=0x40), 1002),
    "reserved bit 3": (client_frame(b"x", TEXT, rsv=0x10), 1002),
    "reserved data opcode": (client_frame(b"x", 3), 1002),
    "reserved control opcode": (client_frame(b"x", 0xB), 1002),
    "continuation of nothing": (client_frame(b"x", CONTINUATION), 1002),
    "message inside a message": (client_frame(b"x", TEXT, fin=False) + client_frame(b"y", TEXT), 1002),
    "fragmented ping": (client_frame(b"x", PING, fin=False), 1002),
    "long ping": (client_frame(b"x" * 126, PING), 1002),
    "long close": (client_frame(b"x" * 126, CLOSE), 1002),
    "bad UTF-8": (client_frame(b"\xff\xfe", TEXT), 1007),
    "surrogate": (client_frame(b"\xed\xa0\x80", TEXT), 1007),
    "bad UTF-8 over fragments": (
        client_frame(b"\xce", TEXT, fin=False) + client_frame(b"x", CONTINUATION),
        1007,
    ),
    "too big": (client_frame(b"x" * 65_537, BINARY), 1009),
    "too big by its header alone": (b"\x82\xff" + (1 << 40).to_bytes(8, "big"), 1009),
    "length with the top bit": (b"\x82\xff" + b"\xff" * 8, 1009),
    "too big over fragments": (
        client_frame(b"x" * 40_000, BINARY, fin=False) + client_frame(b"x" * 40_000, CONTINUATION),
        1009,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("step", [0, 1, 1000])
def test_broken_rule_ends_the_stream_with_its_code(name, step):
    data, code = BROKEN[name]
    with pytest.raises(WireError) as caught:
        read(data, step)
    assert caught.value.code == code


def test_oversize_is_refused_before_its_bytes_are_buffered():
    reader = Reader()
    with pytest.raises(WireError):
        reader.feed(client_frame(b"x" * 70_000, BINARY)[:10])
    assert len(reader.pending) <= 10


@pytest.mark.parametrize("piece", [b"", b"x" * 32])
def test_message_of_endless_fragments_is_refused(piece):
    reader = Reader()
    reader.feed(client_frame(piece, TEXT, fin=False))
    for _ in range(FRAGMENTS_MAX - 2):
        reader.feed(client_frame(piece, CONTINUATION, fin=False))
    with pytest.raises(WireError) as caught:
        reader.feed(client_frame(piece, CONTINUATION, fin=False))
    assert caught.value.code == 1008


def in_fragments(payload: bytes, size: int) -> bytes:
    pieces = [payload[start : start + size] for start in range(0, len(payload), size)]
    return b"".join(
        client_frame(piece, CONTINUATION if index else TEXT, fin=index == len(pieces) - 1)
        for index, piece in enumerate(pieces)
    )


@pytest.mark.parametrize(("size", "surplus"), [(16_384, 0), (4_096, 0), (128, 0), (127, 516), (64, 1023)])
def test_only_small_fragments_take_from_the_budget_of_frames(size, surplus):
    reader = Reader()
    payload = b"x" * 65_536
    more = reader.feed(in_fragments(payload, size))
    while more:
        more = reader.feed(b"")
    assert reader.seen == [(TEXT, payload)]
    assert reader.surplus == surplus


def test_every_control_frame_takes_from_the_budget_of_frames():
    reader = Reader()
    reader.feed(client_frame(b"", PING) + client_frame(b"", PONG) + client_frame(b"x", TEXT))
    assert reader.surplus == 2


@pytest.mark.parametrize(
    ("frame", "per_call_max"),
    [
        (client_frame(b"", PING), TURN_FRAMES_MAX),
        (client_frame(b"", TEXT), TURN_FRAMES_MAX),
        (client_frame(b"x" * 10_000, TEXT), TURN_BYTES_MAX // 10_000 + 1),
    ],
    ids=["pings", "empty messages", "large messages"],
)
def test_one_call_handles_a_bounded_part_and_the_rest_follows_in_order(frame, per_call_max):
    reader = Reader()
    count = 5 * per_call_max + 1
    handled = []
    more = reader.feed(frame * count)
    handled.append(len(reader.seen))
    while more:
        more = reader.feed(b"")
        handled.append(len(reader.seen) - sum(handled))
    assert sum(handled) == count
    assert max(handled) == per_call_max
    assert not reader.pending


def cpu_s_of_single_bytes(size: int) -> float:
    """The least CPU of three runs in which a message comes byte by byte, behind one that waits for its end."""
    data = client_frame(b"x" * size, TEXT)
    segments = [data[index : index + 1] for index in range(len(data))]
    runs = []
    for _ in range(3):
        reader = Reader()
        started = time.process_time()
        for segment in segments:
            reader.feed(segment)
        runs.append(time.process_time() - started)
        assert len(reader.seen) == 1
    return min(runs)


def test_single_bytes_cost_linear_time():
    assert cpu_s_of_single_bytes(64_000) < 3 * cpu_s_of_single_bytes(32_000)


def test_what_waits_for_a_later_call_is_not_copied_by_each():
    reader = Reader()
    reader.feed(client_frame(b"", PING) * 40_000)
    waiting = reader.pending
    while reader.feed(b""):
        assert reader.pending is waiting


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        (b"", (1005, "")),
        (b"\x03\xe8", (1000, "")),
        (b"\x03\xe8bye", (1000, "bye")),
        (b"\x0b\xb8", (3000, "")),
        (b"\x13\x87", (4999, "")),
        (b"\x03", 1002),
        (b"\x03\xe7", 1002),  # 999
        (b"\x03\xec", 1002),  # 1004
        (b"\x03\xed", 1002),  # 1005
        (b"\x03\xee", 1002),  # 1006
        (b"\x03\xf7", 1002),  # 1015
        (b"\x03\xf8", 1002),  # 1016
        (b"\x0b\xb7", 1002),  # 2999
        (b"\x13\x88", 1002),  # 5000
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_close_payload_is_judged(payload, outcome):
    if isinstance(outcome, int):
        with pytest.raises(WireError) as caught:
            parse_close(payload)
        assert caught.value.code == outcome
    else:
        assert parse_close(payload) == outcome


def test_close_reason_is_cut_between_characters():
    [(opcode, payload)] = split_frames(build_close(3008, "ä" * 100))
    assert opcode == CLOSE
    assert len(payload) <= 125
    assert set(payload[2:].decode()) == {"ä"}


messages = st.lists(
    st.tuples(st.sampled_from([TEXT, BINARY]), st.text(max_size=200).map(str.encode)), max_size=8
)


@given(messages, st.lists(st.integers(1, 50), max_size=5), st.integers(0, 3))
def test_any_split_into_fragments_and_reads_gives_the_same_messages(sent, cuts, pause_after):
    data = b""
    for opcode, payload in sent:
        pieces = []
        rest = payload
        for cut in cuts:
            pieces.append(rest[:cut])
            rest = rest[cut:]
        pieces.append(rest)
        for index, piece in enumerate(pieces):
            data += client_frame(piece, CONTINUATION if index else opcode, fin=index == len(pieces) - 1)
            data += client_frame(b"!", PING) if index == 1 else b""
    reader = Reader(pause_after)
    position = 0
    for size in [*cuts, len(data) + 1]:
        more = reader.feed(data[position : position + size])
        position += size
        while more or not reader.reading:
            reader.reading = True
            more = reader.feed(b"")
    assert [seen for seen in reader.seen if seen[0] != PING] == sent


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_garbage_never_crashes_and_never_buffers_more_than_a_message(chunks):
    reader = Reader()
    try:
        for chunk in chunks:
            reader.feed(chunk)
            assert len(reader.pending) <= 65_536 + 14
    except WireError as error:
        assert error.code in {1002, 1007, 1009}  # noqa: PT017 - raising at all is allowed, not required


@given(
    st.binary(min_size=1, max_size=2),
    st.lists(st.tuples(st.integers(0, 15), st.booleans(), st.binary(max_size=130)), max_size=6),
)
def test_random_but_well_masked_frames_end_only_with_the_right_codes(tail, frames):
    reader = Reader()
    try:
        for opcode, fin, payload in frames:
            reader.feed(client_frame(payload, opcode, fin=fin))
        reader.feed(tail)
    except WireError as error:
        assert error.code in {1002, 1007, 1009}  # noqa: PT017 - as above


@given(st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=70_000)), max_size=3))
def test_own_frames_are_split_back(frames):
    data = b"".join(build_frame(payload, opcode) for opcode, payload in frames)
    assert split_frames(data) == frames
