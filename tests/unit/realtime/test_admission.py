"""Who is let in: each budget, what is counted, and that a budget that is free again lets in again."""

import asyncio
import time
from functools import partial

import pytest

from realtime.limits import Limits
from realtime.transport.admission import QUEUE_MAX, TURN_S, Admission
from realtime.transport.writer import Counters
from tests.support.waiting import until


class Slow:
    """A reader whose transport takes nothing."""

    def __init__(self, waiting, in_transport):
        self.waiting, self.in_transport = waiting, in_transport

    def buffered(self):
        return self.in_transport


class Scene:
    def __init__(self, **limits):
        self.connections, self.full, self.counters = set(), set(), Counters()
        self.leaving = False
        self.admission = Admission(
            self.connections,
            self.full,
            lambda: self.leaving,
            Limits(lag_step_s=0.01, **limits),
            self.counters,
        )

    def reason(self):
        refused = self.admission.check()
        return refused and refused.reason


def test_a_process_within_its_budget_takes_everybody():
    scene = Scene()
    assert scene.reason() is None
    assert scene.counters.refused == {}


def test_a_full_process_takes_the_next_when_somebody_left():
    scene = Scene(connections_max=2)
    scene.connections.update({1, 2})
    assert scene.reason() == "full"
    scene.connections.discard(1)
    assert scene.reason() is None
    assert scene.counters.refused == {"full": 1}


def test_a_leaving_process_takes_nobody():
    scene = Scene()
    scene.leaving = True
    assert scene.reason() == "leaving"


def test_connects_under_way_are_bounded():
    scene = Scene(connects_at_once_max=1)
    scene.admission.connects += 1
    assert scene.reason() == "connecting"
    scene.admission.connects -= 1
    assert scene.reason() is None


def test_refused_clients_are_told_to_wait_different_times():
    scene = Scene(connections_max=0)
    waits = {scene.admission.check().retry_after_s for _ in range(200)}
    assert waits == {1, 2, 3}
    assert scene.counters.refused == {"full": 200}


@pytest.fixture
async def watched():
    scene = Scene(unsent_bytes_max=100, lag_max_s=0.05)
    watching = asyncio.create_task(scene.admission.watch())
    await asyncio.sleep(0.02)
    yield scene
    watching.cancel()


async def test_a_late_event_loop_takes_nobody_until_it_has_caught_up(watched):
    assert watched.reason() is None
    deadline = asyncio.get_running_loop().time() + 0.2
    while asyncio.get_running_loop().time() < deadline:
        pass
    await asyncio.sleep(0.002)
    assert watched.reason() == "late"
    await until(lambda: watched.reason() is None)


async def test_unsent_bytes_of_all_readers_together_are_bounded(watched):
    watched.full.update({Slow(40, 20), Slow(30, 20)})
    await until(lambda: watched.reason() == "unsent")
    watched.full.pop()
    await until(lambda: watched.reason() is None)


async def test_new_connections_take_their_steps_in_order_for_a_bounded_time_of_each_turn(watched):
    done, each_turn = [], []
    step_s, count = TURN_S / 4, QUEUE_MAX + 8

    def step(number):
        ends_at = time.perf_counter() + step_s
        while time.perf_counter() < ends_at:
            pass
        done.append(number)

    for number in range(count):
        watched.admission.enqueue(partial(step, number))
    assert watched.admission.is_behind()
    while len(done) < count:
        before = len(done)
        await asyncio.sleep(0)
        each_turn.append(len(done) - before)
    assert done == list(range(count))
    assert max(each_turn) <= 4  # steps that last a quarter of a turn: on a slow machine a turn takes fewer
    assert not watched.admission.is_behind()
    watched.admission.enqueue(lambda: done.append("later"))
    await until(lambda: done[-1] == "later")


async def test_a_step_that_fails_does_not_stop_the_queue(watched, caplog):
    done = []
    watched.admission.enqueue(lambda: 1 / 0)
    watched.admission.enqueue(lambda: done.append(1))
    await until(lambda: done == [1])
    assert "a queued step of a connection failed" in caplog.text
