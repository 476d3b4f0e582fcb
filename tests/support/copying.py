"""A follower of tests: it copies into a table, guarded by version, and notes what came out of order.

Run as a program to be killed: `python -m tests.support.copying POSTGRES NATS`.
"""

import sys
from collections.abc import Sequence

import asyncpg
import uvloop

from server.worker.followers import Follower
from storage.engines.nats import NatsLink
from storage.engines.postgres import Database, open_database
from storage.platform.followed_nats import FollowedEvent

COPIES = """
CREATE TABLE copies (stream text PRIMARY KEY, number bigint NOT NULL, written bigint NOT NULL);
CREATE TABLE gaps (stream text, number bigint, known bigint);
"""
SUBJECTS = ("events.auctions", "facts.things")

_WRITE = """
INSERT INTO copies (stream, number, written) VALUES ($1, $2, 1)
ON CONFLICT (stream) DO UPDATE SET number = excluded.number, written = copies.written + 1
WHERE excluded.number > copies.number
"""


def follower_of(database: Database, link: NatsLink, name: str = "copy") -> Follower:
    async def apply(events: Sequence[FollowedEvent]) -> None:
        async with database.transaction() as db:
            for event in events:
                known = await db.fetchval("SELECT number FROM copies WHERE stream = $1", event.stream) or 0
                if event.number > known + 1:
                    await db.execute(
                        "INSERT INTO gaps VALUES ($1, $2, $3)", event.stream, event.number, known
                    )
                await db.execute(_WRITE, event.stream, event.number)

    return Follower(name, SUBJECTS, apply, database, link)


async def copied(pool: asyncpg.Pool) -> dict[str, tuple[int, int]]:
    """What the copy has: number and count of writes, by stream."""
    rows = await pool.fetch("SELECT stream, number, written FROM copies")
    return {stream: (number, written) for stream, number, written in rows}


async def main(postgres_url: str, nats_url: str) -> None:
    database = await open_database(postgres_url)
    follower = follower_of(database, NatsLink(nats_url, "victim"))
    print("working", flush=True)  # noqa: T201 - the test waits for it
    await follower.run()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
