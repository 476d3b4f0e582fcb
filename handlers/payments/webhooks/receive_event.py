"""Take in a webhook of the payment provider.

An event is a hint that something changed: it is kept, and what it is about is read from the provider. So events may
come late, twice, in any order or never.
"""

from handlers.contract import Caller, Outcome, Stores, Timer
from handlers.payments.tools import PaymentTools
from protocols.payments.webhooks import EventReceived, ReceiveProviderEvent, check_signature, read_event
from protocols.values import new_id
from storage.payments.provider_events_postgres import insert_event

OBJECTS = frozenset({"payment_intent", "refund", "dispute", "payout", "account"})
"""What we ask the provider about; other events are kept and answered, and nothing is made of them."""


async def receive_event(
    command: ReceiveProviderEvent, _caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Keep an event of the payment provider, if it is signed and new. Raises SignatureInvalid, InvalidInput."""
    secrets = stores.need(PaymentTools).webhook_secrets
    check_signature(command.content, command.stripe_signature, secrets, now_ms // 1000)
    event = read_event(command.content)
    row_id, is_ours = new_id(), event.object in OBJECTS
    is_new = await insert_event(stores.db, row_id, event, "stored" if is_ours else "ignored", now_ms)
    timers = [Timer("process_events", row_id, now_ms)] if is_new and is_ours else []
    return Outcome(EventReceived(), timers=timers)
