"""What leaves with the commit of an outcome: events, facts and their reactions, timers, jobs.

All of it is written in the transaction of the change. After the commit workers are told that there is work; one that
was not told finds it within a second.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from handlers.contract import Event, Fact, Outcome
from handlers.domain import ReactionKind, fact_name
from protocols.values import to_json, to_timestamp
from storage.engines.postgres import Connection
from storage.platform.events_postgres import FACTS, NewEvent, StoredEvent, append_events
from storage.platform.jobs_postgres import insert_jobs
from storage.platform.reactions_postgres import NewReaction, insert_reactions
from storage.platform.timers_postgres import insert_timers

Wake = Callable[[Collection[str]], None]
"""Tells workers which reactions and jobs have work; best effort."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction wrote that others hear of after its commit."""

    events: Sequence[StoredEvent]
    """Those of channels, without facts."""
    work: Collection[str]
    """Names of reactions and jobs."""


class OutcomeWriter:
    """Writes outcomes for every transaction of a process."""

    def __init__(
        self, reactions: Mapping[str, ReactionKind] | None = None, wake: Wake = lambda _names: None
    ) -> None:
        """Take the reactions of all domains by name."""
        self.wake = wake
        self._reactions: defaultdict[type[Struct], list[str]] = defaultdict(list)
        for name, kind in (reactions or {}).items():
            self._reactions[kind.fact].append(name)

    async def write(self, db: Connection, outcomes: Sequence[Outcome], now_ms: int) -> Written:
        """Write what outcomes carry. Cost: nothing for what they do not carry.

        One round trip for timers, one or two for events and facts, two for reactions, one for jobs.
        """
        timers = [(t.due_at_ms, t.kind, t.ref) for outcome in outcomes for t in outcome.timers]
        if timers:
            await insert_timers(db, timers)
        at = to_timestamp(now_ms)
        events = [
            NewEvent(e.stream, e.type, event_text(e, at), e.number)
            for outcome in outcomes
            for e in outcome.events
        ]
        facts = [fact for outcome in outcomes if outcome.facts for fact in outcome.facts]
        stored = (
            await append_events(db, [*events, *map(_fact_event, facts)], now_ms) if events or facts else []
        )
        work: set[str] = set()
        if facts:
            work |= await self._write_reactions(db, facts, stored[len(events) :], now_ms)
        jobs = [job for outcome in outcomes if outcome.jobs for job in outcome.jobs]
        if jobs:
            await insert_jobs(db, [(job.kind, job.ref) for job in jobs], now_ms)
            work.update(job.kind for job in jobs)
        return Written(stored[: len(events)], work)

    async def _write_reactions(
        self, db: Connection, facts: Iterable[Fact], stored: Iterable[StoredEvent], now_ms: int
    ) -> set[str]:
        rows = [
            NewReaction(name, fact.aggregate, event.number, event.type, event.data, now_ms)
            for fact, event in zip(facts, stored, strict=True)
            for name in self._reactions.get(type(fact.data), ())
        ]
        if rows:
            await insert_reactions(db, rows, now_ms)
        return {row.reaction for row in rows}


def event_text(event: Event, at: str) -> str:
    """Return the JSON that subscribers see: `{"type":…,"at":…,` and the event's own fields."""
    fields = to_json(event.data).decode()[1:]
    return f'{{"type":"{event.type}","at":"{at}"{"," if len(fields) > 1 else ""}{fields}'


def _fact_event(fact: Fact) -> NewEvent:
    """Return a fact as the events table keeps it: on a stream of its aggregate's facts, which no channel shows."""
    return NewEvent(FACTS + fact.aggregate, fact_name(type(fact.data)), to_json(fact.data).decode())
