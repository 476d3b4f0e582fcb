"""One step of an escrow as a command takes it, and what everybody is told of it."""

from handlers.contract import Event, Fact, Outcome, Stores, Timer
from handlers.payments.escrow.views import to_view
from protocols.errors import Refusal
from protocols.payments.channels import escrow_stream
from protocols.payments.escrows import EscrowStep
from protocols.topics import personal_channel
from storage.payments.escrow import END_ESCROW, EscrowChange, change_escrows


async def take_step(step: EscrowStep, stores: Stores, now_ms: int) -> Outcome:
    """Take a step and answer with the escrow. Raises what `change_escrows` answers."""
    (answer,) = await change_escrows(stores.db, [step], now_ms)
    if isinstance(answer, Refusal):
        raise answer
    return announce(answer, answered=True)


def announce(change: EscrowChange, *, answered: bool = False) -> Outcome:
    """Return what a step leaves behind: an event for every party, a fact, the timer of what comes next."""
    reply = to_view(change.escrow) if answered else None
    if change.repeated:
        return Outcome(reply)
    row, due_at_ms = change.escrow.row, change.due_at_ms
    return Outcome(
        reply,
        events=[_event(change, personal_channel(user_id)) for user_id in change.escrow.parties],
        facts=[Fact(escrow_stream(row.escrow_id), change.to_fact())],
        timers=[] if due_at_ms is None else [Timer(END_ESCROW, row.escrow_id, due_at_ms)],
    )


def _event(change: EscrowChange, channel: str) -> Event:
    notice = change.to_notice()
    match change.change:
        case "opened":
            return Event(channel, "escrow_opened", notice)
        case "released":
            return Event(channel, "escrow_released", notice)
        case "refunded":
            return Event(channel, "escrow_refunded", notice)
        case "frozen":
            return Event(channel, "escrow_frozen", notice)
        case "unfrozen":
            return Event(channel, "escrow_unfrozen", notice)
        case "resolved":
            return Event(channel, "escrow_resolved", notice)
