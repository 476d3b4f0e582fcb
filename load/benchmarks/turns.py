"""Servers measured turn by turn: all of them up at once, short rounds in changing order.

Machines drift: two long runs one after the other differ by more than what is to be seen. Ratios of rounds that follow
one another within a second or two do not.
"""

import contextlib
import statistics
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from load.benchmarks.machine import pin
from load.benchmarks.programs import SmallServer, small_server

CORE, FLOOR, STOCK = "tests.support.measured_app", "load.benchmarks.floor", "load.benchmarks.stock"
"""The realtime core; an `asyncio.Protocol` on uvloop; Litestar on uvicorn as both come."""

IS_FLOOR = "asyncio.Protocol on uvloop, frame built once"
IS_STOCK = "Litestar on stock uvicorn"

T = TypeVar("T")


@contextlib.asynccontextmanager
async def servers_on_one_core(home: Path, modules: Sequence[str]) -> AsyncIterator[dict[str, SmallServer]]:
    """Run a server of each module, all on one core, and keep ourselves on another."""
    async with contextlib.AsyncExitStack() as stack:
        servers = {}
        for module in modules:
            servers[module] = await stack.enter_async_context(small_server(home, module))
            pin(servers[module].pid, 0)
        pin(0, -1)
        yield servers


def take_turns(stages: Mapping[str, T], rounds: int) -> Iterator[tuple[str, T]]:
    """Return each stage once per round; who begins changes from round to round."""
    names = list(stages)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            yield name, stages[name]


def ratios_in_words(values: Sequence[float], baselines: Sequence[float]) -> str:
    """Return the lowest, median and highest ratio of rounds that ran beside each other."""
    ratios = sorted(value / baseline for value, baseline in zip(values, baselines, strict=True))
    return (
        f"{ratios[0]:.2f}x .. {statistics.median(ratios):.2f}x .. {ratios[-1]:.2f}x of {len(ratios)} rounds"
    )
