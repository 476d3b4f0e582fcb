"""A worker of the tests' domain, to be killed: it relays, and runs the reactions of `tests.support.reacting`.

Run: `python -m tests.integration.server.reaction_worker POSTGRES REDIS NATS`. It says `working` once it does.
"""

import asyncio
import sys

import uvloop
from redis.asyncio import Redis

from server.worker.reactions import Reactions
from server.worker.relay import Relay
from storage.engines.nats import NatsLink
from storage.engines.postgres import open_database
from storage.platform.wakes_nats import Wakes, follow_wakes
from tests.support.reacting import KINDS, pipeline_of


async def main(postgres_url: str, redis_url: str, nats_url: str) -> None:
    database = await open_database(postgres_url)
    nats = NatsLink(nats_url, "victim")
    wakes = Wakes(nats)
    reactions = Reactions(
        database, pipeline_of(database, Redis.from_url(redis_url), wakes), KINDS, None, wakes
    )
    nats.when_connected(lambda client: follow_wakes(client, reactions.dispatcher.wake))
    relay = asyncio.create_task(Relay(database, nats).run())
    print("working", flush=True)  # noqa: T201 - the test waits for it
    await asyncio.gather(relay, reactions.dispatcher.run())


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
