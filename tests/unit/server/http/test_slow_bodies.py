"""A body has to arrive at a rate, and in a time."""

import asyncio

import pytest

from protocols.errors import RequestTimeout
from server.http import exchange
from server.http.exchange import Incoming


def incoming(receive) -> Incoming:
    return Incoming({"trace_id": "t", "client": None, "headers": []}, receive)  # type: ignore[typeddict-item]


async def test_a_body_that_brings_too_little_is_given_up(monkeypatch):
    monkeypatch.setattr(exchange, "BODY_TIMEOUT_S", 0.01)
    pieces = iter([b"x" * 10])

    async def receive():
        piece = next(pieces, None)
        if piece is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": True}

    async with asyncio.timeout(30):
        with pytest.raises(RequestTimeout):
            await incoming(receive).body(1000, 3600, rate=1000)


async def test_a_body_that_brings_enough_may_take_longer(monkeypatch):
    monkeypatch.setattr(exchange, "BODY_TIMEOUT_S", 0.0)
    loop = asyncio.get_running_loop()
    started, count = loop.time(), 0

    async def receive():
        nonlocal count
        count += 1
        while loop.time() < started + 0.03:
            await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x" * 100, "more_body": count < 2}

    first = iter([{"type": "http.request", "body": b"x" * 10_000, "more_body": True}])

    async def after_the_first():
        return next(first, None) or await receive()

    assert len(await incoming(after_the_first).body(100_000, 3600, rate=100)) == 10_200
