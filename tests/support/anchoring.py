"""A log and the chain that it is anchored on, its turns made by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from handlers import ledger
from handlers.ledger.anchoring.chain import GWEI, Chain
from handlers.ledger.anchoring.rules import STUCK_MS, Limits
from handlers.settings import Settings
from protocols.ledger.chains import Place
from server.cli.deploy_anchor import deploy_anchor
from server.domains import jobs_of
from server.worker.jobs import Jobs
from tests.support.domains import Market

JOB = "ledger.drive_anchor"
INTERVAL_MS = 3_600_000


class Anchoring:
    """One worker's anchoring."""

    def __init__(self, log: Market, limits: Limits, url: str, key: str) -> None:
        self.log = log
        self.limits = limits
        self.chain = Chain(limits, url, key)
        log.tools[Chain] = self.chain
        self._jobs = Jobs(log.database, log.pipeline, jobs_of((ledger.DOMAIN,)), log.tools)

    async def turn(self) -> None:
        """Plan and, if there is something to do, ask the node, as if the time for it had come."""
        await self.log.pool.execute("UPDATE ledger_chain SET looked_at_ms = 0")
        await self.log.run_loop("ledger.plan_anchor")
        await self.log.pool.execute("UPDATE jobs SET due_at_ms = 0")
        await self._jobs.turn(JOB)

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.turn()

    async def grow(self, count: int = 3) -> int:
        """Have the log grow; return its size."""
        await self.log.move(count)
        await self.log.sequence()
        return await self.log.pool.fetchval("SELECT max(tree_size) FROM ledger_checkpoints")

    async def let_interval_pass(self) -> None:
        await self.log.pool.execute(
            "UPDATE ledger_anchors SET started_at_ms = started_at_ms - $1", INTERVAL_MS
        )

    async def let_it_be_stuck(self) -> None:
        await self.log.pool.execute("UPDATE ledger_anchors SET changed_at_ms = changed_at_ms - $1", STUCK_MS)
        await self.log.pool.execute("UPDATE ledger_anchor_sends SET at_ms = at_ms - $1", STUCK_MS)

    async def anchor_of(self, size: int) -> dict[str, Any]:
        return await self.log.call("ledger.get_anchor", tree_size=size)

    async def root_of(self, size: int) -> bytes:
        query = "SELECT root_hash FROM ledger_checkpoints WHERE tree_size = $1"
        return await self.log.pool.fetchval(query, size)

    async def stands(self, size: int) -> bool:
        """Whether the contract has the root of a size."""
        node = await self.chain.node()
        head = (await node.newest_block()).number
        return await node.root_of(self.limits.place, size, head) == await self.root_of(size)

    async def rows(self) -> list[tuple[Any, ...]]:
        """All anchors ever: size, status, reason."""
        found = await self.log.pool.fetch(
            "SELECT tree_size, status, reason FROM ledger_anchors ORDER BY anchor_id"
        )
        return [tuple(row) for row in found]

    async def sends(self) -> list[str]:
        found = await self.log.pool.fetch(
            "SELECT transaction FROM ledger_anchor_sends ORDER BY at_ms, fee_most"
        )
        return [row["transaction"] for row in found]

    async def problem(self) -> str | None:
        return await self.log.pool.fetchval("SELECT problem FROM ledger_chain")


async def deploy(url: str, key_file: Any, key: str) -> Place:
    key_file.write_text(key)
    settings = Settings(chain_url=url, chain_key=str(key_file))
    return await deploy_anchor(settings, lambda _sentence: None, look_s=0.05)


@asynccontextmanager
async def anchoring(
    log: Market, place: Place, url: str, key: str, fee_max_gwei: int = 300
) -> AsyncIterator[Anchoring]:
    opened = Anchoring(log, Limits(place, INTERVAL_MS, fee_max_gwei * GWEI), url, key)
    try:
        yield opened
    finally:
        await opened.chain.close()
        log.tools[Chain] = Chain(None, "", "")
