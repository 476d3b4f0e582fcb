"""One command, or one batch of commands, is one transaction; its events leave after the commit.

RPC and REST call `run` (or `submit`, for commands that share a commit). Order inside the transaction: known idempotency
keys, the handler, what its outcome carries, new keys; then commit, then fan-out, then the answer. Killed before the
commit, nothing happened and the caller repeats; killed after it, the repeat finds the key, and the relay announces the
events.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from handlers.contract import (
    Call,
    Caller,
    Completion,
    Download,
    Outcome,
    Permission,
    Preparation,
    Route,
    Stores,
)
from handlers.domain import TimerHandler, TimerPreparation
from protocols.control import CONTROL_CHANNEL, encode_controls
from protocols.errors import (
    Fault,
    KeyInFlight,
    KeyRequired,
    NotAllowed,
    Refusal,
    Unauthenticated,
)
from protocols.topics import Entry
from protocols.values import now_instant, to_json
from server.commands.group_commit import GroupCommit, Settle
from server.commands.idempotency import Answer, KeyedBatch, key_of
from server.commands.outcomes import OutcomeWriter, Written
from storage.engines.postgres import RACE, RETRIES, Connection, Database
from storage.engines.redis import Redis
from storage.platform.idempotency_postgres import insert_answers, read_answers
from storage.platform.timers_postgres import (
    DueTimer,
    claim_due_timers,
    notify_timers,
    postpone_timer,
    read_upcoming,
)
from storage.platform.vault import Vault

Publish = Callable[[Sequence[tuple[str, Sequence[Entry]]]], None]
"""How publications leave: the bus's `publish`."""

PREPARED_AT_ONCE = 250
"""Timers prepared without a pause for others: about 8 ms."""

_log = structlog.get_logger()


class _KeyRaceError(Exception):
    """Another transaction kept one of our keys first; run again and find its answer."""


class TimersFailedError(Exception):
    """The handler of these timers failed, and nothing happened; `timer_ids` says which they were."""

    def __init__(self, timer_ids: Sequence[int]) -> None:
        """Keep the ids."""
        self.timer_ids = timer_ids
        super().__init__(f"{len(timer_ids)} timers failed")


class Pipeline:
    """Runs routes and timers against one database."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        epoch: str,
        publish: Publish,
        routes: Sequence[Route],
        tools: Mapping[type, Any] | None = None,
        observer: Callable[[str], Callable[[int, float], None]] = lambda _name: (
            lambda _requests, _seconds: None
        ),
        *,
        writer: OutcomeWriter | None = None,
    ) -> None:
        """Prepare; `start` begins the group commits. `tools` are the process's, by type."""
        self._writer = writer or OutcomeWriter()
        self._database = database
        self._redis = redis
        self._epoch = epoch
        self._publish = publish
        self._tools = tools or {}
        self._vault: Vault | None = self._tools.get(Vault)
        self._observer = observer
        self._running_keys: set[tuple[UUID, str]] = set()
        self.groups: dict[str, GroupCommit[Call[Any], Answer]] = {}
        """The group commit of each grouped route, by route name."""
        self._grouped = [route for route in routes if route.grouped]

    def start(self) -> None:
        """Begin to take grouped commands."""
        for route in self._grouped:
            group = GroupCommit[Call[Any], Answer](self._committer(route), self._observer(route.name))
            self.groups[route.name] = group
            group.start()

    async def close(self) -> None:
        """Finish grouped commands under way."""
        await asyncio.gather(*(group.close() for group in self.groups.values()))

    # -- commands ---------------------------------------------------------------------------------------------------

    def submit(self, route: Route, command: Struct, caller: Caller, settle: Settle[Answer]) -> None:
        """Hand a grouped command of a caller who passed `check_permission` to its group commit; no task is made.

        Raises: KeyRequired, TemporarilyUnavailable; `settle` gets the handler's.
        """
        require_key(route, command)
        self.groups[route.name].submit(Call(command, caller, now_instant()), settle)

    async def run(self, route: Route, command: Struct, caller: Caller) -> Answer:
        """Run one command or query of a caller who passed `check_permission` and return its durable answer.

        Raises the route's refusals.
        """
        require_key(route, command)
        if route.grouped:
            return await self.groups[route.name].ask(Call(command, caller, now_instant()))
        if route.is_query:
            return await self._query(route, command, caller)
        if route.prepare is not None:
            command = await route.prepare(command, caller, self._preparation())
        call = Call(command, caller, now_instant())
        pair = key_of(call)
        if pair is None:
            return await self._complete(route, call, await self._run_one(route, call))
        if pair in self._running_keys:
            raise KeyInFlight
        self._running_keys.add(pair)
        try:
            return await self._complete(route, call, await self._run_one(route, call))
        finally:
            self._running_keys.discard(pair)

    async def download(self, route: Route, command: Struct, caller: Caller) -> Download | None:
        """Return the file that a query asks for; None: it asks for JSON. Raises the route's refusals."""
        assert route.downloads is not None, "only routes with files are asked for one"
        return await route.downloads.make(command, caller, self._preparation())

    async def _complete(self, route: Route, call: Call[Any], answer: Answer) -> Answer:
        """Make the route's call to another machine, if it has one; what is kept under a key stays the handler's."""
        if route.complete is None:
            return answer
        reply = msgspec.json.decode(answer.body, type=route.reply)
        completion = Completion(
            self._database.connection, self._redis, self._tools, commit=self._commit_again
        )
        completed = await route.complete(reply, call.caller, completion)
        return Answer(answer.status, to_json(completed), answer.replayed)

    async def _commit_again(self, decide: Callable[[Stores, int], Awaitable[Sequence[Outcome]]]) -> None:
        """Commit what a route's call found out, again when it lost a race."""
        for attempt in range(1, RETRIES + 1):
            try:
                await self.commit(decide)
            except RACE:
                if attempt == RETRIES:
                    raise
            else:
                return

    async def _query(self, route: Route, command: Struct, caller: Caller) -> Answer:
        async with self._database.connection() as db:
            outcome: Outcome = await route.function(command, caller, self._stores(db), now_instant())
        return Answer(route.status, to_json(outcome.reply))

    async def _run_one(self, route: Route, call: Call[Any]) -> Answer:
        (result,) = await self._committer(route)([call])
        if isinstance(result, Exception):
            raise result
        return result

    def _committer(
        self, route: Route
    ) -> Callable[[Sequence[Call[Any]]], Awaitable[list[Answer | Exception]]]:
        """Return the function that commits a batch of one route's calls, again when it lost a race."""

        async def commit(calls: Sequence[Call[Any]]) -> list[Answer | Exception]:
            for attempt in range(RETRIES):
                # A grouped command's key is looked up when there is reason to: repeats are rare, and the rules refuse
                # most of them (`refused_pairs`); the others break the unique key, and the second attempt looks.
                look_up = attempt > 0 or not route.grouped
                try:
                    return await self._commit(route, calls, look_up=look_up)
                except Fault:
                    raise
                except Refusal:
                    replays = await self._replay(route, calls)
                    if replays is None:
                        raise
                    return replays
                except (*RACE, _KeyRaceError) as race:
                    _log.info(
                        "transaction_again", route=route.name, calls=len(calls), race=type(race).__name__
                    )
            raise KeyInFlight

        return commit

    async def _replay(self, route: Route, calls: Sequence[Call[Any]]) -> list[Answer | Exception] | None:
        """Return the first answer of a refused single call whose repeat was under way at the same time."""
        batch = KeyedBatch(route, calls, self._vault)
        if route.grouped or not batch.pairs:
            return None
        async with self._database.connection() as db:
            batch.recall(await read_answers(db, batch.pairs))
        return None if batch.fresh_places else batch.settle([])

    async def _commit(
        self, route: Route, calls: Sequence[Call[Any]], *, look_up: bool
    ) -> list[Answer | Exception]:
        now_ms = now_instant()
        async with self._database.transaction() as db:
            batch = KeyedBatch(route, calls, self._vault)
            if batch.pairs and look_up:
                batch.recall(await read_answers(db, batch.pairs))
            outcomes = await _decide(route, batch.fresh, self._stores(db), now_ms)
            if repeated := batch.refused_pairs(outcomes):
                batch.late = await read_answers(db, repeated)
            done = [o for o in outcomes if isinstance(o, Outcome)]
            written = await self._writer.write(db, done, now_ms)
            if any(o.timers for o in done):
                await notify_timers(db)
            answers = batch.settle(outcomes)
            if batch.to_keep and not await insert_answers(db, batch.to_keep, now_ms):
                raise _KeyRaceError
        self._fan_out(written, done, now_ms)
        return answers

    # -- timers, reactions, jobs ------------------------------------------------------------------------------------

    async def run_timers(
        self, kind: str, handler: TimerHandler, limit: int, on_crowd: Callable[[], None] = lambda: None
    ) -> list[int]:
        """Run the due timers of one kind in the transaction that deletes them; return how late each was, in ms.

        `on_crowd` is called at once when there may be more than `limit`. The caller looks for timers again afterwards:
        those that the handler wants are not announced to it. Raises: TimersFailedError, Fault.
        """
        due: list[DueTimer] = []

        async def ring(stores: Stores, now_ms: int) -> Sequence[Outcome]:
            due.extend(await claim_due_timers(stores.db, kind, now_ms, limit))
            if len(due) == limit:
                on_crowd()
            return await handler([timer.ref for timer in due], stores, now_ms) if due else []

        try:
            await self.commit(ring, wakes_timers=False)
        except Fault:
            raise
        except Exception as error:
            raise TimersFailedError([timer.timer_id for timer in due]) from error
        done_ms = now_instant()
        return [done_ms - timer.due_at_ms for timer in due]

    async def commit(
        self,
        decide: Callable[[Stores, int], Awaitable[Sequence[Outcome]]],
        finish: Callable[[Connection, int], Awaitable[None]] | None = None,
        *,
        wakes_timers: bool = True,
    ) -> None:
        """Run something that is no command in one transaction, with what its outcomes carry; then fan out.

        `finish` is the last thing before the commit. Raises what they raise, and Fault.
        """
        now_ms = now_instant()
        async with self._database.transaction() as db:
            outcomes = await decide(self._stores(db), now_ms)
            written = await self._writer.write(db, outcomes, now_ms)
            if wakes_timers and any(o.timers for o in outcomes):
                await notify_timers(db)
            if finish is not None:
                await finish(db, now_ms)
        self._fan_out(written, outcomes, now_ms)

    async def prepare_timers(
        self, kind: str, prepare: TimerPreparation, from_ms: int, until_ms: int, limit: int
    ) -> None:
        """Let a kind prepare for its timers that are due from one instant until before another."""
        async with self._database.connection() as db:
            refs = await read_upcoming(db, kind, from_ms, until_ms, limit)
            for start in range(0, len(refs), PREPARED_AT_ONCE):
                await prepare(refs[start : start + PREPARED_AT_ONCE], self._stores(db))

    async def postpone_timer(self, timer_id: int, waits_s: Sequence[int]) -> None:
        """Try a due timer again later: its handler fails."""
        async with self._database.transaction() as db:
            await postpone_timer(db, timer_id, now_instant(), waits_s)

    # -- shared -----------------------------------------------------------------------------------------------------

    def _stores(self, db: Connection) -> Stores:
        return Stores(db, self._redis, self._epoch, self._tools)

    def _preparation(self) -> Preparation:
        return Preparation(self._database.connection, self._redis, self._tools)

    def _fan_out(self, written: Written, outcomes: Sequence[Outcome], now_ms: int) -> None:
        if written.work:
            self._writer.wake(written.work)
        by_channel: dict[str, list[Entry]] = {}
        for event in written.events:  # ascending per stream, as the handler counted or storage numbered them
            entry = Entry(event.number, event.data.encode(), event.at_ms)
            by_channel.setdefault(event.stream, []).append(entry)
        publications: list[tuple[str, Sequence[Entry]]] = list(by_channel.items())
        newest = {(v.channel, v.key): v for outcome in outcomes for v in outcome.latest}
        publications += [
            (v.channel, [Entry(v.number, to_json(v.data), now_ms, v.key)]) for v in newest.values()
        ]
        if controls := [control for outcome in outcomes for control in outcome.controls]:
            publications.append((CONTROL_CHANNEL, [Entry(0, encode_controls(controls), now_ms)]))
        if publications:
            self._publish(publications)


def check_permission(route: Route, caller: Caller) -> None:
    """Check that the caller may call the route; once per call, before anything of the call is decoded.

    Raises: Unauthenticated, NotAllowed.
    """
    if route.permission is not Permission.ANYONE:
        if caller.user_id is None:
            raise Unauthenticated
        if route.permission is not Permission.SIGNED_IN and route.permission.value not in caller.roles:
            raise NotAllowed(f"This needs the role {route.permission.value}")


def require_key(route: Route, command: Struct) -> None:
    """Raise KeyRequired when the route needs an idempotency key and the command has none."""
    if route.key == "required" and not getattr(command, "key", ""):
        raise KeyRequired


async def _decide(
    route: Route, calls: Sequence[Call[Any]], stores: Stores, now_ms: int
) -> list[Outcome | Refusal]:
    """Run the handler of either shape; a single handler that refuses raises, so that its writes are rolled back."""
    if not calls:
        return []
    if route.grouped:
        return list(await route.function(calls, stores, now_ms))
    (call,) = calls
    return [await route.function(call.command, call.caller, stores, now_ms)]
