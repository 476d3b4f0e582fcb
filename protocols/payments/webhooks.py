"""What the payment provider's webhooks say, and how they are signed. Pure."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from protocols.errors import InvalidInput
from protocols.payments.provider_refusals import SignatureInvalid

EVENT_BYTES_MAX = 256 * 1024

TOLERANCE_S = 300
"""How far a signature's time may be from ours, either way. Source: Stripe, "Receive events with an endpoint"."""

SIGNATURES_MAX = 8
"""More signatures in one header are not looked at."""


class ReceiveProviderEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something happened at the payment provider."""

    content: bytes
    """The body as it came: the signature is of its bytes."""
    stripe_signature: Annotated[
        str,
        Meta(
            max_length=2_000,
            examples=["t=1796108400,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"],
        ),
    ] = ""


class EventReceived(Struct, frozen=True, kw_only=True):
    """The event is kept, or was before."""

    received: bool = True


class _Object(Struct, frozen=True):
    id: str = ""
    object: str = ""
    metadata: dict[str, Any] | None = None
    payment_intent: Any = None


class _Data(Struct, frozen=True):
    object: _Object


class ProviderEvent(Struct, frozen=True):
    """An event, as far as we believe it: what it is about. What became of that is read from the provider."""

    id: Annotated[str, Meta(min_length=1, max_length=255)]
    type: Annotated[str, Meta(min_length=1, max_length=255)]
    data: _Data

    @property
    def object(self) -> str:
        """The kind of what it is about."""
        return self.data.object.object[:255]

    @property
    def reference(self) -> str:
        """What it is about."""
        return self.data.object.id[:255]

    @property
    def own_id(self) -> UUID | None:
        """The id of ours that the provider keeps with it."""
        try:
            return UUID((self.data.object.metadata or {})["mnbara_id"])
        except (KeyError, ValueError, TypeError, AttributeError):
            return None

    @property
    def payment(self) -> str:
        """The payment that a refund or dispute is of."""
        named = self.data.object.payment_intent
        named = named.get("id") if isinstance(named, dict) else named
        return named[:255] if isinstance(named, str) else ""


_decode = msgspec.json.Decoder(ProviderEvent).decode


def read_event(content: bytes) -> ProviderEvent:
    """Return the event of a body. Raises InvalidInput. Cost: linear in the body."""
    try:
        event = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _none(str(error)) from error
    if any("\0" in kept for kept in (event.id, event.type, event.object, event.reference, event.payment)):
        raise _none("A name has a NUL character, which no text of the database can have")
    return event


def _none(detail: str) -> InvalidInput:
    return InvalidInput("This is no event", errors=[{"pointer": "/content", "detail": detail}])


def sign(content: bytes, at_s: int, secret: str) -> str:
    """Return the header that signs a body at an instant."""
    return f"t={at_s},v1={_digest(content, str(at_s), secret)}"


def check_signature(content: bytes, header: str, secrets: Sequence[str], now_s: int) -> None:
    """Let a body pass that one of our secrets signed not long ago. Raises SignatureInvalid.

    Cost: a hash of the body for each secret; every comparison takes the same time, whatever differs.
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"][:SIGNATURES_MAX]
    if len(times) != 1 or not given or not times[0].isascii() or not times[0].isdigit() or len(times[0]) > 12:
        raise SignatureInvalid("Send one `t` and a `v1` in Stripe-Signature")
    wanted = [_digest(content, times[0], secret) for secret in secrets]
    matches = [hmac.compare_digest(a.encode(), b.encode()) for a in wanted for b in given]
    if not any(matches):
        raise SignatureInvalid
    if abs(now_s - int(times[0])) > TOLERANCE_S:
        raise SignatureInvalid("The webhook was signed too long ago, or in the future")


def _digest(content: bytes, at_s: str, secret: str) -> str:
    return hmac.new(secret.encode(), at_s.encode() + b"." + content, hashlib.sha256).hexdigest()
