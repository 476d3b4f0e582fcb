"""What is collected when: the young every second, what was put aside only when much was."""

import asyncio
import gc
import weakref

import pytest

from server.process import garbage
from server.process.garbage import GarbageKeeper
from tests.support.waiting import until


class Node:
    def __init__(self):
        self.me = None


def a_cycle():
    node = Node()
    node.me = node
    return node


@pytest.fixture
def keeper():
    threshold = gc.get_threshold()
    yield GarbageKeeper()
    gc.set_threshold(*threshold)
    gc.unfreeze()
    gc.collect()


def test_a_young_cycle_is_collected_without_a_full_collection(keeper):
    dead = weakref.ref(a_cycle())
    assert dead() is not None
    keeper.collect_young()
    assert dead() is None
    assert keeper.full_collections == 1


def test_what_was_put_aside_is_freed_by_its_last_reference(keeper):
    node = Node()
    keeper.collect_young()
    dead = weakref.ref(node)
    del node
    assert dead() is None


def test_a_cycle_that_died_aside_waits_for_a_full_collection(keeper):
    node = a_cycle()
    dead = weakref.ref(node)
    keeper.collect_young()
    del node
    keeper.collect_young()
    assert dead() is not None
    keeper.collect_fully()
    assert dead() is None


def test_a_full_collection_is_due_when_much_was_put_aside(keeper, monkeypatch):
    monkeypatch.setattr(garbage, "GROWTH", 1.0)
    monkeypatch.setattr(garbage, "GROWTH_OBJECTS_MIN", 1_000)
    assert not keeper.is_full_due()
    kept = [a_cycle() for _ in range(2_000)]
    keeper.collect_young()
    assert keeper.is_full_due()
    del kept
    keeper.collect_fully()
    assert not keeper.is_full_due()


def test_no_full_collection_starts_by_itself(keeper):
    before = gc.get_stats()[2]["collections"]
    kept = [[a_cycle()] for _ in range(100_000)]
    assert gc.get_stats()[2]["collections"] == before
    assert len(kept) == 100_000


async def test_it_runs_by_itself(keeper, monkeypatch):
    monkeypatch.setattr(garbage, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(garbage, "FULL_AFTER_S", 0.02)
    monkeypatch.setattr(garbage, "GROWTH", 0.0)
    monkeypatch.setattr(garbage, "GROWTH_OBJECTS_MIN", -1)
    running = asyncio.create_task(keeper.run())
    dead = weakref.ref(a_cycle())
    await until(lambda: dead() is None and keeper.full_collections > 1)
    running.cancel()
