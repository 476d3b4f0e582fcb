"""A worker that anchors, to be killed: it plans turns and makes them.

Run: `python -m tests.integration.ledger.anchor_worker POSTGRES REDIS PLACE NODE KEY`. It says `working` once it does.
"""

import asyncio
import sys

import uvloop
from redis.asyncio import Redis

from handlers import ledger
from handlers.ledger.anchoring.chain import GWEI, Chain
from handlers.ledger.anchoring.rules import Limits
from protocols.ledger.chains import parse_place
from server.commands.pipeline import Pipeline
from server.domains import jobs_of, loops_of
from server.worker.jobs import Jobs
from server.worker.loops import Loops
from storage.engines.postgres import open_database


async def main(postgres_url: str, redis_url: str, place: str, node_url: str, key: str) -> None:
    database = await open_database(postgres_url)
    tools = {Chain: Chain(Limits(parse_place(place), 3_600_000, 300 * GWEI), node_url, key)}
    pipeline = Pipeline(database, Redis.from_url(redis_url), "epoch", lambda _: None, (), tools)
    kinds = {name: kind for name, kind in loops_of((ledger.DOMAIN,)).items() if name == "ledger.plan_anchor"}
    jobs = Jobs(database, pipeline, jobs_of((ledger.DOMAIN,)), tools)
    print("working", flush=True)  # noqa: T201 - the test waits for it
    await asyncio.gather(Loops(pipeline, kinds).run(), jobs.dispatcher.run())


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
