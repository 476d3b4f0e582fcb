"""How fast money moves: the posting door with a transaction for each transfer, and with transactions that are shared.

The door runs in a program of its own (`tests/support/measured_books.py`) on the system's PostgreSQL, beside the worker
that checks the books all the while. What is measured is also checked: no transfer is refused, and the books add up.
"""

import asyncio
import sys
from dataclasses import dataclass

import httpx
import msgspec
from msgspec import Struct

from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import ROOT, BenchmarkError, System
from load.benchmarks.report import Figure

SECONDS = 10.0
PROGRAM_TIMEOUT_S = 180.0
HOLD_P95_MS = 50.0
RATIO = 10.0
CHECKED_WITHIN_S = 60.0


class _Told(Struct):
    """What the program prints."""

    operations: int
    per_s: float
    p50_ms: float
    p95_ms: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class _Measured:
    told: _Told
    postgres_s: float

    def notes(self) -> dict[str, float | int | str]:
        """CPU of one operation by process, and latencies."""
        count = max(1, self.told.operations)
        return {
            "p50 ms": self.told.p50_ms,
            "p95 ms": self.told.p95_ms,
            "µs of the program": self.told.cpu_s / count * 1e6,
            "µs of postgres": self.postgres_s / count * 1e6,
        }


async def measure(system: System) -> list[Figure]:
    """Return transfers per second, shared beside alone, and the p95 of holds. Raises BenchmarkError."""
    await _run(system, "prepare")
    alone = await _run(system, "alone")
    spread = await _run(system, "spread")
    hot = await _run(system, "hot")
    holds = await _run(system, "holds")
    await _check(system)
    baseline_is = (
        f"a transaction for each transfer, 32 connections: {alone.told.p95_ms:.0f} ms p95, "
        f"{alone.told.cpu_s / alone.told.operations * 1e6:.0f} µs of the program and "
        f"{alone.postgres_s / alone.told.operations * 1e6:.0f} of postgres each"
    )
    figures = [
        Figure(
            benchmark="money",
            what=what,
            value=measured.told.per_s,
            unit="transfers/s",
            baseline=alone.told.per_s,
            baseline_is=baseline_is,
            target=RATIO,
            better="higher",
            against="ratio",
            notes=measured.notes(),
        )
        for what, measured in (("between 10,000 users", spread), ("to one hot seller", hot))
    ]
    figures.append(
        Figure(
            benchmark="money",
            what="p95 of a hold, 500 a second",
            value=holds.told.p95_ms,
            unit="ms",
            target=HOLD_P95_MS,
            notes=holds.notes(),
        )
    )
    return figures


async def _run(system: System, mode: str) -> _Measured:
    meter = CpuMeter({"postgres": system.groups()["postgres"]})
    words = ["-m", "tests.support.measured_books", system.postgres_dsn(), mode, str(SECONDS)]
    program = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PROGRAM_TIMEOUT_S):
            out, err = await program.communicate()
    except TimeoutError:
        program.kill()
        await program.wait()
        raise BenchmarkError(f"money, {mode}: not done within {PROGRAM_TIMEOUT_S:.0f} s") from None
    if program.returncode:
        raise BenchmarkError(f"money, {mode}: {err.decode(errors='replace')[-400:]}")
    return _Measured(msgspec.json.decode(out, type=_Told), meter.used_s()["postgres"])


async def _check(system: System) -> None:
    """Wait until the worker has checked the books after all of it. Raises BenchmarkError when they do not add up."""
    wanted = 'mnbara_treasury_trial_balance_minor{currency="EUR"} '
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False, timeout=10) as http:
        for _ in range(int(CHECKED_WITHIN_S)):
            lines = (await http.get("/metrics")).text.splitlines()
            found = [line for line in lines if line.startswith(wanted)]
            if found:
                if found[0] != f"{wanted}0.0":
                    raise BenchmarkError(f"the books do not add up: {found[0]}")
                return
            await asyncio.sleep(1)
    raise BenchmarkError("the worker did not check the books")
