"""How two books differ. Pure."""

from collections import Counter
from collections.abc import Sequence

from protocols.payments.provider import Movement
from protocols.payments.reconciliations import BookedEntry, Difference, DifferenceKind


def find_differences(
    movements: Sequence[Movement], booked: Sequence[BookedEntry], since_ms: int, until_ms: int
) -> list[Difference]:
    """Return every difference that belongs to an interval.

    `movements` may reach beyond it on both sides: the clocks of the two books are not one, so what we booked in the
    interval may be next to it at the provider. Each movement of the interval has to be one that we booked, and each
    first booking of the interval has to be among the movements.
    """
    ours = {entry.source: entry for entry in booked if entry.source}
    inside = [m for m in movements if since_ms <= m.at_ms < until_ms]
    found: list[Difference] = []
    for movement in sorted(inside, key=lambda m: (m.at_ms, m.reference)):
        entry = ours.get(movement.source)
        if kind := _judge(movement, entry):
            found.append(_difference(kind, movement, entry))
    found += _repeated(movements, inside, ours)
    seen = {m.source for m in movements}
    for entry in booked:
        is_due = entry.booked_at_ms is not None and since_ms <= entry.booked_at_ms < until_ms
        if is_due and entry.source not in seen:
            found.append(
                Difference(
                    kind="missing_at_provider",
                    source=entry.source,
                    own_id=entry.own_id,
                    currency=entry.currency,
                    provider_amount=None,
                    our_amount=entry.amounts[0],
                )
            )
    return found


def _judge(movement: Movement, entry: BookedEntry | None) -> DifferenceKind | None:
    if entry is None or entry.kind != movement.kind:
        return "unknown_source"
    if entry.currency != movement.currency:
        return "currency_differs"
    return None if movement.amount_minor in entry.amounts else "amount_differs"


def _repeated(
    movements: Sequence[Movement], inside: Sequence[Movement], ours: dict[str, BookedEntry]
) -> list[Difference]:
    """Return what the provider moved more often than we did."""
    counts = Counter((m.source, m.amount_minor) for m in movements)
    last = {(m.source, m.amount_minor): m for m in inside}
    return [
        _difference("moved_twice", movement, entry)
        for key, movement in last.items()
        if (entry := ours.get(movement.source)) is not None
        and movement.amount_minor in entry.amounts
        and counts[key] > entry.amounts.count(movement.amount_minor)
    ]


def _difference(kind: DifferenceKind, movement: Movement, entry: BookedEntry | None) -> Difference:
    return Difference(
        kind=kind,
        source=movement.source,
        own_id=None if entry is None else entry.own_id,
        currency=movement.currency,
        provider_amount=movement.amount_minor,
        our_amount=None if entry is None else entry.amounts[0],
    )
