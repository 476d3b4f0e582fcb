"""Our books compared with the provider's: the words of the reports. Data, no behaviour."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.payments.provider import MovementKind
from protocols.values import Cursor, PageLimit, Timestamp

DifferenceKind = Literal[
    "unknown_source", "amount_differs", "currency_differs", "moved_twice", "missing_at_provider"
]
"""What is wrong:

- `unknown_source`: the provider moved money for something that we did not book.
- `amount_differs`, `currency_differs`: both moved it, but not the same.
- `moved_twice`: the provider moved it more often than we did.
- `missing_at_provider`: we booked it, the provider did not.
"""


class BookedEntry(Struct, frozen=True, kw_only=True):
    """What we booked, as the provider must have it."""

    kind: MovementKind
    own_id: UUID
    source: str
    """What the provider's books call it; empty when we do not know."""
    currency: str
    amounts: tuple[int, ...]
    """What the provider's books may have of it: the first has to be there, further ones undo it."""
    booked_at_ms: int | None
    """When we booked the first; None when we did not."""


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that the two books do not have alike."""

    kind: DifferenceKind
    source: str
    """The provider's name of it; empty when we do not know one."""
    own_id: UUID | None
    """The top-up, refund, dispute or payout; null when it is none of ours."""
    currency: str
    provider_amount: Annotated[int | None, Meta(examples=[5000])]
    """What the provider moved, in minor units; null when it moved nothing."""
    our_amount: Annotated[int | None, Meta(examples=[4000])]
    """What we booked; null when we booked nothing."""


class ListReconciliations(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reports of the days, newest first."""

    limit: PageLimit = 20
    cursor: Cursor = ""


class Reconciliation(Struct, frozen=True, kw_only=True):
    """One day of the provider's books compared with ours."""

    day: Annotated[str, Meta(extra_json_schema={"format": "date"}, examples=["2026-11-30"])]
    """In UTC."""
    status: Literal["running", "done"]
    movements: int
    """How many lines of the provider's books were compared."""
    difference_count: int
    differences: list[Difference]
    """The first hundred."""
    finished_at: Timestamp | None
    test_money: bool


class Reconciliations(Struct, frozen=True, kw_only=True):
    """A page of reports."""

    items: list[Reconciliation]
    next_cursor: str | None
