"""What a stream keeps of posted messages while its connection is busy, and how it hands them over."""

import asyncio

from realtime.limits import TURN_FRAMES_MAX, Limits
from realtime.transport.streams import StreamSocket, frame_lines


class User:
    """A connection that counts its messages."""

    def __init__(self):
        self.count = 0

    def message_received(self, payload):
        self.count += 1


async def _send(message):
    raise AssertionError("nothing is written here")


def paused(limits):
    socket, user = StreamSocket(_send, frame_lines, None, limits), User()
    socket.attach(user)
    socket.pause_reading()
    return socket, user


async def test_empty_messages_fill_what_is_kept_too():
    socket, user = paused(Limits(stream_inbox_bytes_max=6_400))
    taken = 0
    while taken < 1_000 and socket.post(b""):
        taken += 1
    assert taken == 100
    socket.resume_reading()
    while user.count < taken:
        await asyncio.sleep(0)
    assert socket.post(b"")  # there is room again
    assert user.count == taken + 1


async def test_kept_messages_are_handed_over_in_turns():
    socket, user = paused(Limits())
    count = 5 * TURN_FRAMES_MAX
    for _ in range(count):
        assert socket.post(b"{}")
    socket.resume_reading()
    seen = 0
    while seen < count:
        await asyncio.sleep(0)
        assert seen < user.count <= seen + TURN_FRAMES_MAX
        seen = user.count
