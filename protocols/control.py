"""What server code tells every process to do with a user's sockets: one vocabulary, carried by the bus.

A handler puts controls into its outcome; they leave after its commit, from a server process or a worker. They are best
effort: a process that is cut off from the bus at that moment never hears them, and a connection that opens later is the
caller's concern. What must hold in any case is ensured by the application, which authorizes every connect and
subscribe, and by the watch over sessions. Source: decision 0031.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from protocols.wire.centrifuge import UnsubscribeCode

CONTROL_CHANNEL = "mnbara:control"
"""Where controls travel between processes; no client can name it, its first word is no kind of channel."""


class SubscribeUser(Struct, frozen=True, tag="subscribe_user"):
    """Subscribe every open connection of a user to a channel it may follow; the application authorizes each."""

    user: str
    channel: str


class UnsubscribeUser(Struct, frozen=True, tag="unsubscribe_user"):
    """End every subscription of a user to a channel, and those that others have on the user's word.

    From code 2500 on clients subscribe again at once.
    """

    user: str
    channel: str
    code: int = UnsubscribeCode.SERVER
    reason: str = "server unsubscribe"


class DisconnectUser(Struct, frozen=True, tag="disconnect_user"):
    """End every connection of a user; codes 3000-3499 and 4000-4499 let clients reconnect, others are final."""

    user: str
    code: int
    reason: str


class DisconnectSession(Struct, frozen=True, tag="disconnect_session"):
    """End every connection of one session."""

    session: str
    code: int
    reason: str


Control = SubscribeUser | UnsubscribeUser | DisconnectUser | DisconnectSession

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Control]).decode


def encode_controls(controls: Sequence[Control]) -> bytes:
    """Return controls as they travel, in order."""
    return _encode(list(controls))


def decode_controls(data: bytes) -> list[Control]:
    """Return what `encode_controls` was given. Raises msgspec.DecodeError, for a process of another version."""
    return _decode(data)
