"""A server under fan-out as its benchmark sees it, whatever protocol it speaks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

SUBSCRIBERS = 1_000


class Counter:
    """Deliveries of all subscribers together."""

    def __init__(self) -> None:
        """Start at zero."""
        self.deliveries = self.frames = 0
        self.on_progress: Callable[[], None] | None = None


class Closable(Protocol):
    """A client's connection."""

    def close(self) -> None:
        """Leave."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with a publisher and its audience."""

    pid: int
    publish: Callable[..., None]
    """Publishes messages, all in one request if the server can."""
    counter: Counter
    sockets: Sequence[Closable]

    def leave(self) -> None:
        """Close all sockets."""
        for socket in self.sockets:
            socket.close()
