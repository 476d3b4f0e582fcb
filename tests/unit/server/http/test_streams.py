"""Answers that are sent piece by piece: a client that leaves is read for no longer, a failure ends no file."""

import asyncio

import pytest

from server.http.exchange import RawResponse, Reply


class Client:
    """The other end of ASGI: it takes so many pieces, then it leaves."""

    def __init__(self, leaves_after: int = 1_000) -> None:
        self.sent: list[dict] = []
        self._leaves_after = leaves_after
        self._left = asyncio.Event()

    async def receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if len(self.sent) > self._leaves_after:
            self._left.set()
        await asyncio.sleep(0)

    async def get(self, stream, method="GET"):
        reply = Reply(200, b"", [], b"text/csv", stream=stream)
        await RawResponse(reply)({"method": method}, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


async def count_to(end, broken_at=-1):
    for number in range(end):
        if number == broken_at:
            raise OSError
        yield b"%d\n" % number


async def test_pieces_come_in_order_and_the_last_one_ends_the_answer():
    client = Client()
    await client.get(count_to(3))
    assert client.body == b"0\n1\n2\n"
    assert [message.get("more_body") for message in client.sent] == [None, True, True, True, False]
    assert (b"content-type", b"text/csv") in client.sent[0]["headers"]
    assert not [name for name, _ in client.sent[0]["headers"] if name == b"content-length"]


async def test_who_leaves_is_read_for_no_longer():
    client = Client(leaves_after=3)
    await asyncio.wait_for(client.get(count_to(10**9)), 10)
    assert len(client.sent) < 10


async def test_what_breaks_has_no_end():
    client = Client()
    with pytest.raises(OSError):
        await client.get(count_to(9, broken_at=2))
    assert client.sent[-1]["more_body"] is True


async def test_head_has_no_body():
    client = Client()
    await client.get(count_to(3), "HEAD")
    assert client.body == b""
