"""Collecting garbage without standing still: what lives long is looked at rarely, what is young often.

A full collection looks at every object: with 10,000 connections it takes a fifth of a second, during which nobody hears
anything, and in a storm of connects the interpreter starts one every second or two. Here none starts by itself. Once a
second the young are collected and what is left is put aside (`gc.freeze`); reference counts free it as ever. Only
cycles that died after they were put aside stay, so when much more is aside than after the last full collection, there
is one.
"""

import asyncio
import gc

LOOK_EVERY_S = 1.0
"""What a second brings is a few thousand objects, in a storm 30,000: eight milliseconds."""

FULL_AFTER_S = 60.0
"""The least time between full collections."""

GROWTH = 1.5
GROWTH_OBJECTS_MIN = 200_000
"""A full collection is due when this many times, and this many more, objects are aside than after the last one."""

YOUNG_MAX = 50_000
"""New objects that make the interpreter look at the young ones before the second is over. With its own 700 it looks at
the objects of a batch of bids dozens of times while they are in use, and finds nothing."""

_NEVER = 1_000_000_000


class GarbageKeeper:
    """Decides when the process collects."""

    def __init__(self) -> None:
        """Collect everything once and put aside what lives as long as the process."""
        _, middle, _ = gc.get_threshold()
        gc.set_threshold(YOUNG_MAX, middle, _NEVER)
        self.full_collections = 0
        self._aside_after_full = 0
        self.collect_fully()

    def collect_fully(self) -> None:
        """Look at every object."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self.full_collections += 1
        self._aside_after_full = gc.get_freeze_count()

    def collect_young(self) -> None:
        """Look at what came since the last time, and put aside what is left of it."""
        gc.collect(1)
        gc.freeze()

    def is_full_due(self) -> bool:
        """Whether so much was put aside that some of it may well be dead. Cost: a walk over it, some milliseconds."""
        aside = gc.get_freeze_count()
        return aside > self._aside_after_full * GROWTH and aside > self._aside_after_full + GROWTH_OBJECTS_MIN

    async def run(self) -> None:
        """Collect until cancelled."""
        loop = asyncio.get_running_loop()
        look_again_at_s = loop.time() + FULL_AFTER_S
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.collect_young()
            if loop.time() >= look_again_at_s:
                if self.is_full_due():
                    self.collect_fully()
                look_again_at_s = loop.time() + FULL_AFTER_S
