"""The route of webhooks."""

from handlers.contract import Permission, Route, Upload
from handlers.payments.webhooks.receive_event import receive_event
from protocols.errors import InvalidInput
from protocols.payments.provider_refusals import SignatureInvalid
from protocols.payments.webhooks import EVENT_BYTES_MAX, EventReceived, ReceiveProviderEvent

EVENT_EXAMPLE = {
    "id": "evt_1RkPpqLkdIwHu7ix",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": 1_796_108_400,
    "data": {"object": {"id": "pi_3RkPppLkdIwHu7ix", "object": "payment_intent"}},
}

ROUTES: tuple[Route, ...] = (
    Route(
        domain="payments",
        command=ReceiveProviderEvent,
        reply=EventReceived,
        function=receive_event,
        method="POST",
        path="/v1/webhooks/stripe",
        permission=Permission.ANYONE,
        cost=0,
        refused_cost=5,
        rpc=False,
        upload=Upload(("application/json",), EVENT_BYTES_MAX, example=EVENT_EXAMPLE),
        refusals=(SignatureInvalid, InvalidInput),
    ),
)
