"""Outgoing bytes of one connection, and the one flush per event-loop tick that sends them.

uvloop makes a system call for every `write`, so the bytes of a connection are collected during a tick and written at
once: ten times the throughput. While the transport's buffer is full the bytes wait here and are counted. A reader that
lets more than the bound accumulate is disconnected with 3008, and recovers when it reconnects.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from realtime.codecs import Codec
from realtime.limits import Limits
from realtime.transport.frames import build_frame

_log = logging.getLogger(__name__)


class Counters:
    """Counters of the realtime core since the process started, for the metrics."""

    __slots__ = (
        "bytes_sent",
        "commands",
        "connections_total",
        "deliveries",
        "duplicates",
        "flood_cuts",
        "gap_fills",
        "log_failures",
        "pongs_missed",
        "publications",
        "recoveries",
        "recoveries_refused",
        "refused",
        "slow_cuts",
        "unvouched_cuts",
    )

    def __init__(self) -> None:
        """Start from zero."""
        self.unvouched_cuts = 0
        self.bytes_sent = self.commands = self.connections_total = self.deliveries = 0
        self.duplicates = self.flood_cuts = self.gap_fills = self.log_failures = self.pongs_missed = 0
        self.publications = self.recoveries = self.recoveries_refused = self.slow_cuts = 0
        self.refused: dict[str, int] = {}
        """Refused connections by `admission.REASONS`."""


Outgoing = bytes | list[bytes] | None
"""Ready frames: none, some in one bytes object, or several objects to be joined."""


def joined(out: Outgoing) -> bytes:
    """Return ready frames as one bytes object."""
    if isinstance(out, list):
        return b"".join(out)
    return out or b""


def size_of(out: Outgoing) -> int:
    """Return the bytes of ready frames."""
    if isinstance(out, list):
        return sum(map(len, out))
    return len(out) if out else 0


class Flusher:
    """Collects the connections with outgoing bytes and writes to each once, at the end of the tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, counters: Counters) -> None:
        """Start with nothing to send."""
        self.loop, self.limits, self.counters = loop, limits, counters
        self.dirty: list[Writer] = []
        """Connections whose `out` is written at the end of this tick."""
        self.full: set[Writer] = set()
        """Connections whose transport is full."""
        self.slow: list[Writer] = []
        self.scheduled = False

    def schedule(self) -> None:
        """Have `flush` called in the next turn of the event loop."""
        if not self.scheduled:
            self.scheduled = True
            self.loop.call_soon(self.flush)

    def on_write_failed(self, writer: "Writer") -> None:
        """End a connection whose transport raised on a write: a bug, or it is closing."""
        _log.exception("a write failed")
        self.slow.append(writer)

    def distribute(self) -> None:
        """Move the publications of this tick into the outgoing bytes of their readers; `Fanout` does."""

    def flush(self) -> None:
        """Write each connection's bytes with one call; disconnect those that are too slow."""
        self.scheduled = False
        self.distribute()
        dirty, self.dirty = self.dirty, []
        sent = 0
        for writer in dirty:
            out = writer.out
            if writer.paused:
                writer.count_waiting()
            elif out is not None:
                data = b"".join(out) if isinstance(out, list) else out
                writer.out = None
                sent += len(data)
                try:
                    writer.write(data)
                except Exception:  # noqa: BLE001 - one broken transport must not stop the others
                    self.on_write_failed(writer)
                if writer.solicited and not writer.paused:
                    writer.solicited = 0
        self.counters.bytes_sent += sent
        if self.slow:
            slow, self.slow = self.slow, []
            for writer in slow:
                with contextlib.suppress(Exception):  # a broken transport raises on the disconnect push too
                    writer.cut_slow()


class Writer:
    """The sending half of a connection."""

    __slots__ = ("buffered", "codec", "flusher", "out", "paused", "solicited", "waiting", "write")

    def __init__(
        self, flusher: Flusher, codec: Codec, write: Callable[[bytes], None], buffered: Callable[[], int]
    ) -> None:
        """Start with an empty queue on a writable transport."""
        self.flusher, self.codec, self.write, self.buffered = flusher, codec, write, buffered
        self.out: Outgoing = None
        """Ready frames that are not written yet. If not None, the flusher has the writer in `dirty` or `full`."""
        self.paused = False
        self.waiting = 0
        """Bytes in `out`, counted while paused."""
        self.solicited = 0
        """Unsent bytes of answers: they do not count against a client as slow, because it asked for them."""

    def send(self, frames: bytes) -> None:
        """Queue ready frames for the end of the tick."""
        if self.out is None:
            self.out = frames
            self.flusher.dirty.append(self)
            if not self.flusher.scheduled:
                self.flusher.schedule()
        else:
            self.add(frames)

    def answer(self, message: bytes) -> None:
        """Queue one reply."""
        self.solicited += len(message)
        self.send(build_frame(message, 2 if self.codec.binary else 1))

    def add(self, frames: bytes) -> None:
        """Queue frames behind others (`out` is not None)."""
        out = self.out
        if isinstance(out, list):
            out.append(frames)
        else:
            self.out = [out or b"", frames]
        if self.paused:
            self.waiting += len(frames)
            self.check_slow()

    def count_waiting(self) -> None:
        """Count the bytes that wait for the transport."""
        self.waiting = size_of(self.out)
        self.check_slow()

    def check_slow(self) -> None:
        """Have the connection disconnected when too many pushed bytes are unsent."""
        unsent = self.waiting + self.buffered() - self.solicited
        if unsent > self.flusher.limits.outgoing_bytes_max:
            self.flusher.slow.append(self)
            self.flusher.schedule()

    def unsent(self) -> int:
        """Return the bytes waiting here and in the transport."""
        return size_of(self.out) + self.buffered()

    def pause(self) -> None:
        """Keep outgoing bytes in `out`: the transport is full."""
        self.paused = True
        self.flusher.full.add(self)
        self.count_waiting()

    def resume(self) -> None:
        """Write what waits: the transport takes bytes again."""
        self.paused = False
        self.flusher.full.discard(self)
        self.waiting = self.solicited = 0
        if self.out is not None:
            self.flusher.dirty.append(self)
            self.flusher.schedule()

    def cut_slow(self) -> None:
        """Disconnect the client: it does not read fast enough."""
        raise NotImplementedError
