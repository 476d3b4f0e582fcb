"""The built-in provider's objects, movements and events, as its tables keep them."""

from dataclasses import dataclass, replace
from uuid import UUID

from msgspec import Struct

from protocols.payments.provider import Movement, MovementKind, ProviderRefusedError
from protocols.values import new_id, now_instant
from storage.engines.postgres import Connection
from storage.platform.jobs_postgres import insert_jobs
from storage.platform.sql import load
from storage.platform.timers_postgres import insert_timers

_sql = load(__file__, "built_in_provider.sql")

DELIVER = "payments.deliver_test_event"
CONTINUE = "continue_test_object"
"""The job and the timer by which the provider goes on by itself."""

LATER_MS = 3_000
"""After how long a slow card pays, a cardholder disputes, a bank answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestObject:
    """One object."""

    __test__ = False

    object_id: UUID
    kind: str
    own_id: UUID | None
    parent: str
    amount_minor: int
    currency: str
    status: str
    failure: str
    word: str
    """How it behaves: the card of a payment, the bank of an account."""
    secret: str
    at_ms: int

    @property
    def reference(self) -> str:
        """The provider's name of it."""
        return f"test_{self.kind}_{self.object_id}"


class TestEvent(Struct, frozen=True, kw_only=True):
    """Something that the market is told of."""

    event_id: UUID
    type: str
    object: str
    reference: str
    own_id: UUID | None
    payment: str
    at_ms: int


async def has_test_money(db: Connection) -> bool:
    """Return whether the built-in provider has moved money in this database. Cost: one row."""
    found: bool = await db.fetchval(_sql.has_test_money)
    return found


async def has_real_money(db: Connection) -> bool:
    """Return whether Stripe was asked for a payment in this database. Cost: one index probe."""
    found: bool = await db.fetchval(_sql.has_real_money)
    return found


async def insert(db: Connection, row: TestObject) -> None:
    """Keep an object, unless our id has one of its kind. Cost: one round trip."""
    await db.execute(
        _sql.insert_object,
        row.object_id,
        row.kind,
        row.own_id,
        row.parent,
        row.amount_minor,
        row.currency,
        row.status,
        row.word,
        row.secret,
        row.at_ms,
    )


async def lock_object(db: Connection, object_id: UUID) -> TestObject | None:
    """Return an object, locked. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.lock_object, object_id)
    return None if row is None else TestObject(**row)


async def lock_reference(db: Connection, reference: str) -> TestObject:
    """Return an object by its name, locked. Raises ProviderRefusedError."""
    try:
        found = await lock_object(db, UUID(reference.rpartition("_")[2]))
    except ValueError:
        found = None
    if found is None or found.reference != reference:
        raise ProviderRefusedError("resource_missing")
    return found


async def lock_own(db: Connection, kind: str, own_id: UUID) -> TestObject | None:
    """Return the object of a kind of an id of ours, locked. Cost: one index probe."""
    row = await db.fetchrow(_sql.lock_own, kind, own_id)
    return None if row is None else TestObject(**row)


async def lock_secret(db: Connection, secret: str) -> TestObject | None:
    """Return the payment of a client's secret, locked. Cost: one index probe."""
    row = await db.fetchrow(_sql.lock_secret, secret)
    return None if row is None else TestObject(**row)


async def sum_refunds(db: Connection, payment: TestObject) -> int:
    """Return what of a locked payment went back. Cost: one index range."""
    found: int = await db.fetchval(_sql.sum_refunds, payment.reference)
    return found


async def change(
    db: Connection, found: TestObject, *, status: str, failure: str = "", word: str | None = None
) -> TestObject:
    """Write a locked object's new status; return it. Cost: one round trip."""
    changed = replace(found, status=status, failure=failure, word=found.word if word is None else word)
    await db.execute(_sql.update_object, found.object_id, changed.status, changed.failure, changed.word)
    return changed


async def move(db: Connection, kind: MovementKind, about: TestObject, amount_minor: int) -> None:
    """Write a line of the provider's books. Cost: one round trip."""
    await db.execute(
        _sql.insert_movement, new_id(), kind, about.reference, amount_minor, about.currency, now_instant()
    )


async def announce(db: Connection, event_type: str, about: TestObject) -> None:
    """Have the market told, by a job. Cost: two round trips."""
    event_id, now_ms = new_id(), now_instant()
    shown = "payment_intent" if about.kind == "payment" else about.kind
    payment = about.parent if about.kind in {"refund", "dispute"} else ""
    await db.execute(
        _sql.insert_event, event_id, event_type, shown, about.reference, about.own_id, payment, now_ms
    )
    await insert_jobs(db, [(DELIVER, event_id)], now_ms)


async def continue_later(db: Connection, about: TestObject) -> None:
    """Have an object go on by itself in a few seconds. Cost: one round trip."""
    await insert_timers(db, [(now_instant() + LATER_MS, CONTINUE, about.object_id)])


async def read_event(db: Connection, event_id: UUID) -> TestEvent | None:
    """Return an event that is to be delivered. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_event, event_id)
    return None if row is None else TestEvent(**row)


async def delete_event(db: Connection, event_id: UUID) -> None:
    """Forget an event that was delivered. Cost: one round trip."""
    await db.execute(_sql.delete_event, event_id)


async def list_movements(db: Connection, since_ms: int, until_ms: int) -> list[Movement]:
    """Return the movements of an interval, newest first. Cost: one index range."""
    return [
        Movement(
            reference=f"test_movement_{row['movement_id']}",
            kind=row["kind"],
            source=row["source"],
            amount_minor=row["amount_minor"],
            fee_minor=0,
            currency=row["currency"],
            at_ms=row["at_ms"],
        )
        for row in await db.fetch(_sql.list_movements, since_ms, until_ms)
    ]
