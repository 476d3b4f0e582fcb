"""`python -m load.benchmarks [NAME…]`: run the benchmarks, print the table, keep the figures as JSON."""

import argparse
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx
import uvloop

from load.accounts import AccountError
from load.benchmarks import (
    bids,
    closing,
    connections,
    fanout,
    idle,
    ledger,
    rest,
    rpc,
    search,
    stalled,
    storm,
    watch,
)
from load.benchmarks.machine import raise_descriptor_limit, unpin
from load.benchmarks.programs import ROOT, BenchmarkError, System, running_system
from load.benchmarks.report import Figure, keep, print_table
from load.client import ServerError, SocketClosedError

OF_CORE: dict[str, Callable[[Path], Awaitable[list[Figure]]]] = {
    "fan-out": fanout.measure,
    "stalled": stalled.measure,
    "rpc": rpc.measure,
    "idle": idle.measure,
    "connections": connections.measure,
    "search": search.measure,
}
"""Benchmarks that start what they measure: the realtime core alone, but for `connections` and `search`."""

OF_SYSTEM: dict[str, Callable[[System], Awaitable[list[Figure]]]] = {
    "bids": bids.measure,
    "watch": watch.measure,
    "close": closing.measure,
    "ledger": ledger.measure,
    "rest": rest.measure,
    "storm": storm.measure,
}
"""Benchmarks of a whole private system."""

FAILURES = (BenchmarkError, AccountError, ServerError, SocketClosedError, httpx.TransportError, OSError)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def run(names: Sequence[str], home: Path, processes: int) -> tuple[list[Figure], list[str]]:
    """Run the named benchmarks one after the other; return the figures and which benchmarks failed."""
    raise_descriptor_limit()
    figures: list[Figure] = []
    failed: list[str] = []

    async def run_one(name: str, measuring: Awaitable[list[Figure]]) -> None:
        started_at = time.monotonic()
        _say(f"{name} ...")
        try:
            figures.extend(await measuring)
        except FAILURES as error:
            failed.append(name)
            _say(f"{name} failed: {error!r}")
        unpin(os.getpid())
        _say(f"{name}: {time.monotonic() - started_at:.0f} s")

    for name, measure in OF_CORE.items():
        if name in names:
            await run_one(name, measure(home))
    wanted = [name for name in OF_SYSTEM if name in names]
    if wanted:
        try:
            async with running_system(home, processes) as system:
                for name in wanted:
                    await run_one(name, OF_SYSTEM[name](system))
        except BenchmarkError as error:
            failed += wanted
            _say(f"mnbara: {error}")
    return figures, failed


def main(arguments: Sequence[str]) -> int:
    """Return 0 when every benchmark ran, 1 when one failed; missed targets are shown, not failures."""
    every = [*OF_CORE, *OF_SYSTEM]
    parser = argparse.ArgumentParser(
        prog="./mnbara bench",
        description="Measure, with the baseline beside it.",
        epilog="example: ./mnbara bench bids watch --processes 2",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(every)}; default: all")
    parser.add_argument("--processes", type=int, default=1, help="server processes of the measured system")
    parser.add_argument(
        "--home", type=Path, default=ROOT / ".local" / "bench", help="where it keeps its data"
    )
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(every))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(every)}")
    figures: list[Figure] = []
    failed: list[str] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end what runs, in order
    gc.disable()  # a collection in the generator would be somebody's p99
    with contextlib.suppress(KeyboardInterrupt):
        figures, failed = uvloop.run(run(chosen.names or every, chosen.home, chosen.processes))
    if figures:
        print_table(figures)
        keep(figures, chosen.home / "results.json")
        _say(f"figures kept in {chosen.home / 'results.json'}")
    if failed:
        _say(f"failed: {', '.join(failed)}")
    return 1 if failed or not figures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
