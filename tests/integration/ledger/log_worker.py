"""A worker of the transparency log, to be killed: it runs the log's loops.

Run: `python -m tests.integration.ledger.log_worker POSTGRES REDIS SECRETS`. It says `working` once it does.
"""

import sys
from pathlib import Path

import uvloop
from redis.asyncio import Redis

from handlers import ledger
from handlers.ledger.anchoring.chain import Chain
from handlers.ledger.keys import LedgerKeys
from server.commands.pipeline import Pipeline
from server.domains import loops_of
from server.worker.loops import Loops
from storage.engines.postgres import open_database


async def main(postgres_url: str, redis_url: str, secrets: str) -> None:
    database = await open_database(postgres_url)
    tools = {
        LedgerKeys: LedgerKeys(Path(secrets), "https://market.example"),
        Chain: Chain(None, "", ""),
    }
    pipeline = Pipeline(database, Redis.from_url(redis_url), "epoch", lambda _: None, (), tools)
    print("working", flush=True)  # noqa: T201 - the test waits for it
    await Loops(pipeline, loops_of((ledger.DOMAIN,))).run()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
