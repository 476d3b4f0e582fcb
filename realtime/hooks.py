"""Events of connections and subscriptions for code of this process: begin, end, and why.

Observers are plain functions. They are called on the event loop, in the step in which the event happens; they must not
block and cannot prevent it. An event without observers is not built. An observer that raises is logged and does not
disturb the others.
"""

import logging
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

from protocols.wire.centrifuge import DisconnectCode, UnsubscribeCode
from realtime.ports import ConnectRequestContext, Identity
from realtime.transport.frames import ABNORMAL

_log = logging.getLogger(__name__)

Event = TypeVar("Event")


class Cause(StrEnum):
    """Why a connection or a subscription ended."""

    CLIENT = "client"
    """The client unsubscribed or closed the connection."""
    SERVER = "server"
    """Code of the server asked for it; the code of the disconnect or unsubscribe says more."""
    EXPIRED = "expired"
    """Its token expired."""
    SLOW = "slow"
    """The client did not read fast enough."""
    LOST = "lost"
    """The network or the client was gone, or a pong did not arrive in time."""
    FAULT = "fault"
    """The client broke the rules of the protocol, or its limits."""
    SHUTDOWN = "shutdown"
    """The process stops."""
    CONNECTION = "connection"
    """Subscriptions only: the whole connection ended."""


class Connected(NamedTuple):
    """A connect was answered."""

    client: str
    identity: Identity
    context: ConnectRequestContext


class Subscribed(NamedTuple):
    """A subscription began, the client's own or the server's."""

    client: str
    identity: Identity
    channel: str


class Unsubscribed(NamedTuple):
    """A subscription ended."""

    client: str
    identity: Identity
    channel: str
    cause: Cause


class Disconnected(NamedTuple):
    """A connection ended; `client` is empty when it never got as far as an answered connect."""

    client: str
    identity: Identity
    context: ConnectRequestContext
    cause: Cause
    code: int
    """That of the disconnect push, or of the websocket's end (RFC 6455 7.4) when the server did not end it."""
    reason: str


class Hooks:
    """The observers of one hub; append to a list to listen."""

    __slots__ = ("connected", "disconnected", "subscribed", "unsubscribed")

    def __init__(self) -> None:
        """Start without observers."""
        self.connected: list[Callable[[Connected], object]] = []
        self.subscribed: list[Callable[[Subscribed], object]] = []
        self.unsubscribed: list[Callable[[Unsubscribed], object]] = []
        self.disconnected: list[Callable[[Disconnected], object]] = []


def notify(observers: Sequence[Callable[[Event], object]], event: Event) -> None:
    """Call every observer; what one raises is logged."""
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001 - an observer must not disturb what it observes
            _log.exception("an observer failed")


_BY_DISCONNECT: dict[int, Cause] = {
    DisconnectCode.SHUTDOWN: Cause.SHUTDOWN,
    DisconnectCode.EXPIRED: Cause.EXPIRED,
    DisconnectCode.SUBSCRIPTION_EXPIRED: Cause.EXPIRED,
    DisconnectCode.SLOW: Cause.SLOW,
    DisconnectCode.NO_PONG: Cause.LOST,
    DisconnectCode.TOO_MANY_REQUESTS: Cause.FAULT,
    DisconnectCode.BAD_REQUEST: Cause.FAULT,
    DisconnectCode.STALE: Cause.FAULT,
    DisconnectCode.NOT_AVAILABLE: Cause.FAULT,
}
_BROKEN = frozenset({1002, 1003, 1007, 1008, 1009})
"""Codes that an endpoint closes with because its peer broke a rule (RFC 6455 7.4.1)."""


def cause_of_disconnect(code: int) -> Cause:
    """Return why the server ended a connection with this code."""
    return _BY_DISCONNECT.get(code, Cause.SERVER)


def cause_of_loss(code: int) -> Cause:
    """Return why a socket ended that the server had not ended."""
    if code == ABNORMAL:
        return Cause.LOST
    return Cause.FAULT if code in _BROKEN else Cause.CLIENT


def cause_of_unsubscribe(code: int) -> Cause:
    """Return why the server ended a subscription with this code."""
    return Cause.EXPIRED if code == UnsubscribeCode.EXPIRED else Cause.SERVER
