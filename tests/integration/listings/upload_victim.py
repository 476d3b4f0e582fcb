"""A process that uploads a photo and is killed, as `kill -9` does, at one step of it.

Run: `python -m tests.integration.listings.upload_victim POSTGRES REDIS FOLDER LISTING_ID SELLER_ID STEP`, with the
picture on standard input. Steps: rendering, noted, one file, all files, in transaction, committed.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from redis.asyncio import Redis

import server.commands.outcomes
from handlers.contract import Caller
from handlers.listings import ROUTES
from handlers.listings.photos.tools import PhotoTools
from protocols.listings.photos import UploadPhoto
from server.commands.pipeline import Pipeline
from storage.engines.objects import Objects, Place, open_objects
from storage.engines.postgres import open_database


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed(PhotoTools):
    """The real tools, until the step at which the process ends."""

    step = ""

    async def render(self, content):
        rendered = await super().render(content)
        if self.step == "rendering":
            die()
        return rendered

    async def keep(self, photo_id, rendered):
        if self.step == "noted":
            die()
        await super().keep(photo_id, rendered)
        if self.step == "all files":
            die()


async def main(
    postgres_url: str, redis_url: str, folder: str, listing_id: str, seller_id: str, step: str
) -> None:
    tools = Doomed(open_objects(Place(folder=Path(folder))))
    tools.step = step
    put = Objects.put

    async def put_one(self, *arguments):
        await put(self, *arguments)
        die()

    async def append_nothing(*_):
        die()

    if step == "one file":
        Objects.put = put_one
    if step == "in transaction":
        server.commands.outcomes.append_events = append_nothing
    pipeline = Pipeline(
        await open_database(postgres_url),
        Redis.from_url(redis_url),
        "e",
        lambda _: die(),  # what fans out is committed
        ROUTES,
        {PhotoTools: tools},
    )
    upload = next(route for route in ROUTES if route.verb == "upload_photo")
    command = UploadPhoto(listing_id=UUID(listing_id), content=sys.stdin.buffer.read())
    await pipeline.run(upload, command, Caller(user_id=UUID(seller_id)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
