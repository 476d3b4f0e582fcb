"""The loop's beats: they show its lag, wait for nobody, and stay in the process."""

import asyncio
import contextlib
import os
import time

import pytest

from server.local.pulse import Pulse
from server.process import heartbeat
from server.process.heartbeat import Heartbeat


@pytest.fixture
def pulse():
    made = Pulse()
    yield made
    made.close()


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_EVERY_S", 0.01)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_it_beats_while_the_loop_turns(pulse, often):
    Heartbeat(lambda _: None, pulse.beats_fd).start()
    for _ in range(3):
        pulse.look(1.0)
        assert pulse.has_beaten

        def beaten():
            pulse.look(1.0)
            return pulse.silent_s == 0

        await until(beaten)


async def test_a_callback_that_takes_long_shows_as_lag_until_it_is_fifteen_seconds_old(often):
    shown = []
    Heartbeat(shown.append).start()
    await until(lambda: len(shown) > 1)
    time.sleep(0.3)  # noqa: ASYNC251 - the loop is to stand still
    seen = len(shown)
    await until(lambda: len(shown) > seen)
    assert shown[seen] > 0.2
    await until(lambda: shown[-1] < shown[seen])
    assert len(shown) > seen + heartbeat.LAGS_KEPT - 1


async def test_a_supervisor_that_does_not_read_stops_nobody(pulse, often):
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pulse.beats_fd, bytes(4096))
    shown = []
    Heartbeat(shown.append, pulse.beats_fd).start()
    await until(lambda: len(shown) > 2)
    pulse.look(1.0)
    assert pulse.silent_s == 0


async def test_programs_that_the_process_starts_do_not_get_the_descriptor(pulse):
    os.set_inheritable(pulse.beats_fd, True)
    Heartbeat(lambda _: None, pulse.beats_fd)
    assert not os.get_inheritable(pulse.beats_fd)
