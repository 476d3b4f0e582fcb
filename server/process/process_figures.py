"""What a process uses, copied into its metrics: memory, processor time, open descriptors."""

import asyncio
import resource
import time
from pathlib import Path

from server.process.metrics import Metrics

EVERY_S = 5.0

_STATISTICS = Path("/proc/self/statm")
_DESCRIPTORS = Path("/proc/self/fd")
_PAGE_BYTES = resource.getpagesize()


def copy_process(metrics: Metrics) -> None:
    """Copy the figures of now. Cost: 2 ms with 10,000 open descriptors; may run in a thread."""
    resident = int(_STATISTICS.read_text().split()[1]) * _PAGE_BYTES
    descriptors = sum(1 for _ in _DESCRIPTORS.iterdir())
    metrics.set_process(resident, descriptors, time.process_time())


async def watch_process(metrics: Metrics) -> None:
    """Copy until cancelled."""
    while True:
        await asyncio.to_thread(copy_process, metrics)
        await asyncio.sleep(EVERY_S)
