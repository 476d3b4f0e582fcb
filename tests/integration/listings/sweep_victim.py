"""A worker that deletes the files of a photo and is killed, as `kill -9` does, at one step of it.

Run: `python -m tests.integration.listings.sweep_victim POSTGRES REDIS FOLDER STEP`. Steps: leased, one file, all files,
in transaction, committed.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from redis.asyncio import Redis

import handlers.listings.photos.sweep_photos as sweeping
from handlers.listings import DOMAIN
from handlers.listings.photos.tools import PhotoTools
from protocols.goods import SIZES, file_name
from server.commands.pipeline import Pipeline
from server.domains import jobs_of
from server.worker.jobs import Jobs
from storage.engines.objects import Place, open_objects
from storage.engines.postgres import open_database


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed(PhotoTools):
    """The real tools, until the step at which the process ends."""

    step = ""

    async def delete(self, files_id):
        if self.step == "leased":
            die()
        if self.step == "one file":
            await self._objects.delete([file_name(files_id, SIZES[0])])
            die()
        await super().delete(files_id)
        if self.step == "all files":
            die()


async def main(postgres_url: str, redis_url: str, folder: str, step: str) -> None:
    tools = Doomed(open_objects(Place(folder=Path(folder))))
    tools.step = step
    forget = sweeping.forget_files

    async def forget_and_die(*arguments):
        await forget(*arguments)
        die()

    if step == "in transaction":
        sweeping.forget_files = forget_and_die
    database = await open_database(postgres_url)
    pipeline = Pipeline(database, Redis.from_url(redis_url), "e", lambda _: None, [])
    jobs = Jobs(database, pipeline, jobs_of((DOMAIN,)), {PhotoTools: tools})
    while await jobs.turn("listings.delete_files"):
        pass
    die()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
