"""Reactions and jobs as domains declare them, and when what failed is tried again."""

from uuid import UUID

import pytest
from msgspec import Struct

from handlers.domain import Domain, JobKind, ReactionKind, fact_name
from protocols.errors import TemporarilyUnavailable
from server.domains import DOMAINS, jobs_of, reactions_of
from server.worker.retries import AWAY_WAIT_MAX_S, WAITS_S, describe, wait_after


class ThingHappened(Struct):
    thing_id: UUID


async def handle(*_arguments):
    raise AssertionError("nobody calls it")


REACTION = ReactionKind(name="on_thing_happened", fact=ThingHappened, handler=handle)
JOB = JobKind(name="call", run=handle, finish=handle)


def test_reactions_and_jobs_are_stored_under_the_name_of_their_domain():
    things = Domain(name="things", facts=(ThingHappened,), reactions=(REACTION,), jobs=(JOB,))
    others = Domain(name="others", reactions=(REACTION,), jobs=(JOB,))
    assert set(reactions_of((things, others))) == {"things.on_thing_happened", "others.on_thing_happened"}
    assert set(jobs_of((things, others))) == {"things.call", "others.call"}


@pytest.mark.parametrize(
    ("domains", "why"),
    [
        ([Domain(name="a", reactions=(REACTION,))], "facts that no domain states"),
        ([Domain(name="a", facts=(ThingHappened,)), Domain(name="b", facts=(ThingHappened,))], "two domains"),
        ([Domain(name="a", facts=(ThingHappened,), reactions=(REACTION, REACTION))], "two domains"),
    ],
)
def test_what_cannot_work_is_refused_at_start(domains, why):
    with pytest.raises(AssertionError, match=why):
        reactions_of(tuple(domains))


def test_a_reaction_has_the_name_of_its_fact():
    assert fact_name(ThingHappened) == "thing_happened"
    with pytest.raises(AssertionError, match="on_thing_happened"):
        ReactionKind(name="on_thing", fact=ThingHappened, handler=handle)


def test_the_names_that_are_stored_stay():
    """A name that is left out here is one that rows in somebody's database may have."""
    assert set(reactions_of(DOMAINS)) >= {"listings.on_listing_published", "listings.on_price_lowered"}
    assert set(jobs_of(DOMAINS)) >= {"listings.delete_files", "ledger.drive_anchor"}


def test_a_mistake_waits_longer_each_time_and_is_given_up():
    waits = [wait_after(100, mistakes, ValueError()) for mistakes in range(1, len(WAITS_S) + 2)]
    assert waits == [*(1000 * wait_s for wait_s in WAITS_S), None]


def test_a_machine_that_is_away_is_tried_at_least_every_minute_for_ever():
    waits = [wait_after(attempts, 9, TemporarilyUnavailable()) for attempts in (1, 2, 3, 50, 2**31)]
    assert waits == [1000, 2000, 4000, 1000 * AWAY_WAIT_MAX_S, 1000 * AWAY_WAIT_MAX_S]


def test_an_error_is_told_in_one_line_without_secrets():
    error = ValueError("for ada@example.org at postgres://mnbara:pass@db\nDETAIL: Key (email)=(ada) exists")
    assert describe(error) == "ValueError: for [redacted] at postgres://[redacted]@db"
    assert len(describe(ValueError("x" * 10_000))) == 500
