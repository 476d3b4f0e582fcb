"""Domains as tests run them: behind the real pipeline, on real engines, a worker's work step by step."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from redis.asyncio import Redis

from handlers.contract import ANONYMOUS, Caller
from handlers.domain import URGENT, Domain, Figure, TimerHandler, TimerKind
from protocols.values import new_id, now_instant
from server.commands.decoding import StructDecoder
from server.commands.outcomes import OutcomeWriter
from server.commands.pipeline import Pipeline, check_permission
from server.domains import Domains, jobs_of, loops_of, reactions_of, routes_of
from server.worker.jobs import Jobs
from server.worker.loops import Loops
from server.worker.reactions import Reactions
from storage.engines.postgres import Database, open_database


class Market:
    """Some domains: routes are called by name with JSON, as clients do; nothing else runs unless it is told to."""

    def __init__(
        self, domains: Domains, database: Database, redis: Redis, tools: Mapping[type, Any] | None = None
    ) -> None:
        self.published: list[Any] = []
        """What went to channels: (channel, entries) in order."""
        self.database = database
        self._routes = {route.name: route for route in routes_of(domains)}
        self._timers = {kind.name: kind.handler for domain in domains for kind in domain.timers}
        kinds = reactions_of(domains)
        self.pipeline = Pipeline(
            database,
            redis,
            "epoch",
            self.published.extend,
            list(self._routes.values()),
            tools,
            writer=OutcomeWriter(kinds),
        )
        self._reactions = Reactions(database, self.pipeline, kinds)
        self.figures: dict[str, float] = {}
        """What loops showed last, by gauge, or by gauge and label."""
        self._loops = Loops(self.pipeline, loops_of(domains), self._show)
        self._job_names = tuple(jobs_of(domains))
        self._jobs = Jobs(database, self.pipeline, jobs_of(domains), tools or {})

    async def call(self, name: str, caller: Caller = ANONYMOUS, /, **fields: Any) -> Any:
        """Call `<domain>.<verb>`; return the reply as JSON. Raises the route's refusals."""
        route = self._routes[name]
        check_permission(route, caller)
        command = StructDecoder(route.command).decode(msgspec.json.encode(fields))
        answer = await self.pipeline.run(route, command, caller)
        return None if answer.body == b"null" else msgspec.json.decode(answer.body)

    async def new_user(self) -> Caller:
        """Return somebody who has an account and is signed in."""
        caller = Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))
        await self._execute(
            "WITH u AS (INSERT INTO users (user_id, email, password_hash, display_name, created_at_ms)"
            " VALUES ($1, $2, '', 'Somebody', 0))"
            " INSERT INTO sessions (session_id, user_id, rotated_at_ms, created_at_ms, expires_at_ms, fresh_at_ms)"
            " VALUES ($3, $1, $4, $4, $4::bigint + 86400000, $4)",
            caller.id,
            f"{caller.id}@example.org",
            caller.session_id,
            now_instant(),
        )
        return caller

    async def react(self, name: str) -> None:
        """Run the rows of the reaction `<domain>.on_<fact>` that are due, until none are."""
        while await self._reactions.turn(name):
            pass

    async def retry_reactions(self, name: str) -> None:
        """Run the rows of a reaction that have failed, now instead of after their wait."""
        await self._execute("UPDATE reaction_queues SET due_at_ms = 0 WHERE reaction = $1", name)
        await self.react(name)

    def _show(self, figure: Figure) -> None:
        self.figures[f"{figure.name} {' '.join(figure.labels)}".strip()] = figure.value

    async def run_loop(self, name: str) -> None:
        """Run turns of the loop `<domain>.<loop>` until there is no more to do."""
        while await self.turn(name):
            pass

    async def turn(self, name: str) -> bool:
        """Run one turn of a loop; return whether there is more to do."""
        return await self._loops.turn(name)

    async def run_jobs(self, *names: str) -> None:
        """Run jobs (`<domain>.<job>`; all when none is named) as if they were due, until none is left or all failed."""
        kinds = names or self._job_names
        await self._execute("UPDATE jobs SET due_at_ms = 0 WHERE kind = ANY ($1)", list(kinds))
        found = True
        while found:
            found = any([await self._jobs.turn(name) for name in kinds])

    async def run_timers(self, kind: str) -> None:
        """Run all timers of a kind as if they were due, then those of the kind that they set for now."""
        await self._execute("UPDATE timers SET due_at_ms = 0 WHERE kind = $1", kind)
        await self.run_due_timers(kind)

    async def run_due_timers(self, kind: str) -> None:
        """Run the timers of a kind that are due, and leave the others."""
        while await self.pipeline.run_timers(kind, self._timers[kind], 500):
            pass

    async def events(self, stream: str) -> list[dict[str, Any]]:
        """Return what a channel with history carries, from its first event on."""
        async with self.database.connection() as db:
            rows = await db.fetch("SELECT data FROM events WHERE stream = $1 ORDER BY number", stream)
        return [json.loads(row["data"]) for row in rows]

    async def database_value(self, statement: str, *values: Any) -> Any:
        """Return the one value that a statement finds."""
        async with self.database.connection() as db:
            return await db.fetchval(statement, *values)

    async def _execute(self, statement: str, *values: Any) -> None:
        async with self.database.connection() as db:
            await db.execute(statement, *values)


@asynccontextmanager
async def open_market(
    domains: Domains, database: str, redis: Redis, tools: Mapping[type, Any] | None = None
) -> AsyncIterator[Market]:
    """Open domains on a migrated database. `tools` are those that the calls of the test need, by type."""
    opened = await open_database(database)
    market = Market(domains, opened, redis, tools)
    market.pipeline.start()
    try:
        yield market
    finally:
        await market.pipeline.close()
        await opened.close()


def timer_handlers(domain: Domain) -> dict[str, TimerHandler]:
    """Return what runs when a timer of a kind is due."""
    return {kind.name: kind.handler for kind in domain.timers}


def urgent_lane(kinds, prepare) -> dict[str, list[TimerKind]]:
    """Return lanes in which kinds (name -> handler) are urgent and prepared by one function."""
    return {URGENT: [TimerKind(name=n, handler=h, prepare=prepare, lane=URGENT) for n, h in kinds.items()]}


def lane(kinds) -> list[TimerKind]:
    """Return the kinds (name -> handler) of one lane that is not urgent."""
    return [TimerKind(name=name, handler=handler) for name, handler in kinds.items()]
