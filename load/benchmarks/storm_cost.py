"""What one connect costs a server, beside servers that do less for the same bytes, in turns on one core.

Each turn lets a few hundred clients in, each with an access token the server has not seen, and counts the server's CPU
until the last has its answer; then all connections are lost at once, which is counted apart.
"""

import asyncio
import contextlib
import json
import statistics
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from load.benchmarks.handshake_rate import Knocking
from load.benchmarks.machine import exact_cpu_s, pin, unpin
from load.benchmarks.programs import System, small_server
from load.benchmarks.report import Figure
from load.benchmarks.turns import STOCK, ratios_in_words, take_turns

CLIENTS = 300
"""Who come in per turn."""
ROUNDS = 12
TOKENS = CLIENTS * (ROUNDS + 1)
"""What `measure` needs; the first turn of each server does not count."""
GONE_S = 0.15
"""Until a server has seen that everybody left."""

FLOOR = "load.benchmarks.storm_floor"
_BARE, _SIGNED, _STOCK, _OURS = "floor", "floor and signature", "stock", "mnbara"
IS_SIGNED = "asyncio.Protocol on uvloop: accept, upgrade, verify the signature, answer"


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of one server, turn by turn."""

    pids: Sequence[int]
    knocking: Knocking
    coming_us: list[float] = field(default_factory=list)
    leaving_us: list[float] = field(default_factory=list)

    def cpu_us(self) -> float:
        """Return what its processes have used."""
        return sum(map(exact_cpu_s, self.pids)) * 1e6


async def measure(system: System, tokens: Sequence[str]) -> list[Figure]:
    """Let clients in and lose them, server after server."""
    async with _servers(system) as costs:
        for cost in costs.values():
            await _take_turn(cost, tokens[:CLIENTS])
        for number, (_, cost) in enumerate(take_turns(costs, ROUNDS)):
            first = CLIENTS * (1 + number // len(costs))
            before = cost.cpu_us()
            inside = await _take_turn(cost, tokens[first : first + CLIENTS])
            cost.coming_us.append((inside - before) / CLIENTS)
            cost.leaving_us.append((cost.cpu_us() - inside) / CLIENTS)
    ours = costs[_OURS]
    median = {name: statistics.median(cost.coming_us) for name, cost in costs.items()}
    return [
        Figure(
            benchmark="storm",
            what="CPU of the server per connect with a new token",
            value=median[_OURS],
            unit="µs",
            baseline=median[_SIGNED],
            baseline_is=IS_SIGNED,
            notes={
                "of the floor with the signature": ratios_in_words(ours.coming_us, costs[_SIGNED].coming_us),
                "of the floor": ratios_in_words(ours.coming_us, costs[_BARE].coming_us),
                "floor µs, nothing checked": median[_BARE],
                "Litestar on stock uvicorn µs, nothing checked": median[_STOCK],
                "µs per lost connection": statistics.median(ours.leaving_us),
            },
        )
    ]


@contextlib.asynccontextmanager
async def _servers(system: System) -> AsyncIterator[dict[str, Cost]]:
    """Run the others beside the system, all on one core, ourselves on another."""
    home = system.home
    key = json.loads((home / "secrets" / "signing_keys.json").read_text())["keys"][0]["x"]
    async with contextlib.AsyncExitStack() as stack:
        bare = await stack.enter_async_context(small_server(home, FLOOR))
        signed = await stack.enter_async_context(small_server(home, FLOOR, key))
        stock = await stack.enter_async_context(small_server(home, STOCK))
        ours = system.groups()["server"]
        for pid in (bare.pid, signed.pid, stock.pid, *ours):
            pin(pid, 0)
        pin(0, -1)
        try:
            yield {
                _BARE: Cost([bare.pid], Knocking(bare.url)),
                _SIGNED: Cost([signed.pid], Knocking(signed.url)),
                _STOCK: Cost([stock.pid], Knocking(stock.url)),
                _OURS: Cost(ours, Knocking(system.websocket_url)),
            }
        finally:
            for pid in (0, *ours):
                unpin(pid)


async def _take_turn(cost: Cost, tokens: Sequence[str]) -> float:
    """Let everybody in, then lose them; return the CPU used when everybody was in."""
    await cost.knocking.come_in(tokens)
    inside = cost.cpu_us()
    await cost.knocking.go_home()
    await asyncio.sleep(GONE_S)
    return inside
