"""Wakes: after a commit that wrote work, one worker is told over core NATS, subject `mnbara.work.<name>`.

Workers share a queue group, so each wake goes to one of them. A wake that is lost costs up to a second: workers also
look by themselves.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from protocols.errors import Fault
from storage.engines.nats import Client, NatsError, NatsLink

SUBJECT = "mnbara.work"
QUEUE = "workers"


class Wakes:
    """Tells workers over the connection of this process."""

    def __init__(self, nats: NatsLink) -> None:
        """Send over this connection whenever there is one."""
        self._nats = nats
        self._sending: set[asyncio.Task[None]] = set()

    def __call__(self, names: Collection[str]) -> None:
        """Tell one worker each that these reactions and jobs have work; best effort."""
        with contextlib.suppress(Fault):
            task = asyncio.create_task(_send(self._nats.client, names), name="wake")
            self._sending.add(task)  # the loop itself keeps no reference
            task.add_done_callback(self._sending.discard)


async def _send(client: Client, names: Collection[str]) -> None:
    with contextlib.suppress(NatsError, OSError):
        for name in names:
            await client.publish(f"{SUBJECT}.{name}")


async def follow_wakes(client: Client, on_work: Callable[[str], None]) -> None:
    """Call `on_work` with the name of what has work, also after reconnections."""

    async def receive(message: object) -> None:
        on_work(message.subject.removeprefix(f"{SUBJECT}."))  # type: ignore[attr-defined]

    await client.subscribe(f"{SUBJECT}.>", queue=QUEUE, cb=receive)
