"""A process that decides a timer of auctions inside its transaction and then waits to be killed.

Run: `python -m tests.integration.auctions.closing_victim POSTGRES REDIS SECRETS NOW_MS KIND`; it prints `decided`.
"""

import asyncio
import sys
from pathlib import Path

from redis.asyncio import Redis

import server.commands.pipeline
from handlers.auctions import DOMAIN
from server.commands.pipeline import Pipeline
from storage.engines.postgres import open_database
from storage.platform.vault import Vault
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)


async def main(postgres_url: str, redis_url: str, secrets: str, now_ms: str, kind: str) -> None:
    server.commands.pipeline.now_instant = lambda: int(now_ms)
    database = await open_database(postgres_url)
    pipeline = Pipeline(
        database, Redis.from_url(redis_url), "e", lambda _: None, [], {Vault: Vault(Path(secrets))}
    )

    async def decide_and_wait(refs, stores, at_ms):
        outcomes = await TIMERS[kind](refs, stores, at_ms)
        sys.stdout.write(f"decided {len(outcomes)}\n")
        sys.stdout.flush()
        await asyncio.sleep(60)
        return outcomes

    prepare = {each.name: each.prepare for each in DOMAIN.timers}[kind]
    if prepare is not None:
        await pipeline.prepare_timers(kind, prepare, 0, int(now_ms) + 1, 500)
    await pipeline.run_timers(kind, decide_and_wait, 500)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
