"""The whole object graph of a worker process, by hand; a server's is in `server/wiring.py`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from handlers.settings import Settings
from protocols.topics import Entry
from server.domains import DOMAINS, Domains, jobs_of, loops_of, reactions_of, timers_of
from server.foundation import Foundation, open_foundation
from server.worker.jobs import Jobs
from server.worker.loops import Loops
from server.worker.reactions import Reactions
from server.worker.relay import Relay
from server.worker.timers import Timers
from storage.platform.wakes_nats import Wakes, follow_wakes


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """What `server.lifecycle` runs."""

    base: Foundation
    relay: Relay
    timers: Timers
    reactions: Reactions
    jobs: Jobs
    loops: Loops


@asynccontextmanager
async def open_worker(settings: Settings, domains: Domains = DOMAINS) -> AsyncIterator[WorkerProcess]:
    """Build a worker process: relay, timers, reactions, jobs, loops."""
    async with open_foundation(settings, "worker", domains) as base:
        await base.bus.start(_ignore_publications, lambda: None)
        try:
            lateness = base.metrics.timer_lateness.observe
            timers = Timers(base.database, base.pipeline, timers_of(domains), lateness)
            relay = Relay(base.database, base.nats, timers.yield_to_urgent)
            failed, wakes = base.metrics.count_work_failure, Wakes(base.nats)
            reactions = Reactions(
                base.database, base.pipeline, reactions_of(domains), timers.yield_to_urgent, wakes, failed
            )
            jobs = Jobs(base.database, base.pipeline, jobs_of(domains), base.tools, wakes, failed)
            kinds = loops_of(domains)
            loops = Loops(base.pipeline, kinds, base.metrics.follow_loops(kinds), timers.yield_to_urgent)

            def wake(name: str) -> None:
                reactions.dispatcher.wake(name)
                jobs.dispatcher.wake(name)

            base.nats.when_connected(lambda client: follow_wakes(client, wake))
            yield WorkerProcess(base, relay, timers, reactions, jobs, loops)
        finally:
            await base.bus.close()


def _ignore_publications(_channel: str, _entries: Sequence[Entry]) -> None:
    """Workers publish and have no readers."""
