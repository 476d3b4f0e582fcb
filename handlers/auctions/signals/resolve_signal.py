"""Say what looking into a signal found."""

from handlers.auctions.signals.signal_views import to_signal
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions.channels import signal_stream
from protocols.auctions.signals import ResolveSignal, SignalAlreadyResolved, SignalNotFound, SignalResolved
from storage.auctions import signals_postgres


async def resolve_signal(command: ResolveSignal, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Close the signal with a note, once. Raises SignalNotFound, SignalAlreadyResolved."""
    row = await signals_postgres.lock_signal(stores.db, command.signal_id)
    if row is None:
        raise SignalNotFound
    if row.status != "open":
        raise SignalAlreadyResolved
    await signals_postgres.resolve_signal(
        stores.db, command.signal_id, command.outcome, command.note, caller.id, now_ms
    )
    resolved = SignalResolved(
        signal_id=command.signal_id, outcome=command.outcome, by=caller.id, note=command.note
    )
    row = await signals_postgres.lock_signal(stores.db, command.signal_id)
    assert row is not None, "this transaction holds it"
    event = Event(signal_stream(command.signal_id), "signal_resolved", resolved, 2)
    return Outcome(to_signal(row), [event])
