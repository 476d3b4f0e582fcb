"""Job: the test provider's webhook is signed and brought to our own intake, in the shape of Stripe's."""

from typing import Any

from handlers.contract import ANONYMOUS, Outcome, Stores
from handlers.domain import Job, JobContext
from handlers.payments.tools import PaymentTools
from handlers.payments.webhooks.receive_event import receive_event
from protocols.payments.webhooks import ReceiveProviderEvent, sign
from protocols.values import now_instant, to_json
from storage.payments.built_in_objects import TestEvent, delete_event, read_event


async def deliver_test_event(job: Job, context: JobContext) -> ReceiveProviderEvent | None:
    """Return the signed webhook; None when it was delivered before."""
    async with context.connection() as db:
        event = await read_event(db, job.ref)
    if event is None:
        return None
    content = to_json(_body(event))
    secret = context.need(PaymentTools).webhook_secrets[0]
    return ReceiveProviderEvent(
        content=content, stripe_signature=sign(content, now_instant() // 1000, secret)
    )


async def finish_delivery(
    job: Job, webhook: ReceiveProviderEvent | None, stores: Stores, now_ms: int
) -> Outcome:
    """Have the webhook taken in as any other, and forget the event."""
    if webhook is None:
        return Outcome(None)
    outcome = await receive_event(webhook, ANONYMOUS, stores, now_ms)
    await delete_event(stores.db, job.ref)
    return outcome


def _body(event: TestEvent) -> dict[str, Any]:
    about: dict[str, Any] = {"id": event.reference, "object": event.object, "metadata": {}}
    if event.own_id is not None:
        about["metadata"] = {"mnbara_id": event.own_id}
    if event.payment:
        about["payment_intent"] = event.payment
    return {
        "id": f"test_event_{event.event_id.hex}",
        "object": "event",
        "type": event.type,
        "created": event.at_ms // 1000,
        "livemode": False,
        "data": {"object": about},
    }
