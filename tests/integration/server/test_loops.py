"""Loops: one worker at a time has the turn, what fails is tried again, figures are metrics."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from handlers.contract import Event, Outcome
from handlers.domain import Domain, Figure, GaugeKind, LoopKind, LoopTurn
from protocols.errors import TemporarilyUnavailable
from protocols.values import new_id
from server.commands.pipeline import Pipeline
from server.domains import loops_of
from server.process.metrics import Metrics
from server.worker import loops
from server.worker.loops import Loops
from storage.engines.postgres import Database, open_database
from tests.support.waiting import until


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str) -> AsyncIterator[Database]:
    made = await open_database(database)
    yield made
    await made.close()


def pipeline_of(opened, redis, published=None):
    publish = (lambda _: None) if published is None else published.extend
    return Pipeline(opened, redis, "epoch", publish, (), {})


def loop(name, step, **more):
    return {f"test.{name}": LoopKind(name=name, step=step, pause_s=0.001, **more)}


async def test_two_workers_never_have_a_turn_at_once(opened, redis):
    inside, most, turns = 0, 0, 0
    free = asyncio.Event()

    async def step(_stores, _now_ms):
        nonlocal inside, most, turns
        inside, turns = inside + 1, turns + 1
        most = max(most, inside)
        await free.wait()
        inside -= 1
        return LoopTurn()

    workers = [Loops(pipeline_of(opened, redis), loop("alone", step)) for _ in range(3)]
    first = asyncio.create_task(workers[0].turn("test.alone"))
    await until(lambda: inside == 1)
    assert [await worker.turn("test.alone") for worker in workers[1:]] == [False, False]
    assert turns == 1
    free.set()
    await first
    await workers[1].turn("test.alone")
    assert (turns, most) == (2, 1)


async def test_what_a_turn_says_leaves_with_its_commit_and_what_fails_leaves_nothing(opened, redis):
    published = []
    stream = f"things:{new_id()}"

    async def step(_stores, _now_ms):
        return LoopTurn(outcomes=[Outcome(None, [Event(stream, "thing_done", {"a": 1})])], again=True)

    async def fail(stores, now_ms):
        await step(stores, now_ms)
        raise LookupError

    kinds = loop("tell", step) | loop("fail", fail)
    worker = Loops(pipeline_of(opened, redis, published), kinds)
    assert await worker.turn("test.tell") is True
    with pytest.raises(LookupError):
        await worker.turn("test.fail")
    assert [channel for channel, _ in published] == [stream]


async def test_a_loop_that_fails_goes_on_and_holds_up_no_other(opened, redis, monkeypatch):
    monkeypatch.setattr(loops, "FAULT_WAIT_S", 0.001)
    monkeypatch.setattr(loops, "ERROR_WAIT_S", 0.001)
    done = {"broken": 0, "sound": 0}
    errors = [LookupError("a mistake"), TemporarilyUnavailable("away")]

    async def broken(_stores, _now_ms):
        if errors:
            raise errors.pop()
        done["broken"] += 1
        return LoopTurn()

    async def sound(_stores, _now_ms):
        done["sound"] += 1
        return LoopTurn()

    worker = Loops(pipeline_of(opened, redis), loop("broken", broken) | loop("sound", sound))
    with capture_logs() as lines:
        running = asyncio.create_task(worker.run())
        await until(lambda: min(done.values()) > 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    told = [(line["event"], line["name"]) for line in lines if line["event"].startswith("loop_")]
    assert told == [("loop_waits", "test.broken"), ("loop_failed", "test.broken")]


async def test_figures_are_metrics(opened, redis):
    async def step(_stores, _now_ms):
        return LoopTurn(figures=[Figure("tides", 3), Figure("depths", 7, ("north",))])

    gauges = (
        GaugeKind(name="tides", meaning="Tides"),
        GaugeKind(name="depths", meaning="Depths", labels=("sea",)),
    )
    kinds, metrics = loop("measure", step, gauges=gauges), Metrics()
    await Loops(pipeline_of(opened, redis), kinds, metrics.follow_loops(kinds)).turn("test.measure")
    shown = metrics.render().decode()
    assert "mnbara_tides 3.0" in shown
    assert 'mnbara_depths{sea="north"} 7.0' in shown


def test_two_loops_of_one_name_stop_the_start():
    kind = LoopKind(name="same", step=None, pause_s=1)
    with pytest.raises(AssertionError, match=r"loops that two domains declare: a\.same"):
        loops_of((Domain(name="a", loops=(kind, kind)),))
