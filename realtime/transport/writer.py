"""Outgoing bytes of one connection, and the one flush per event-loop tick that sends them.

uvloop calls `send` on every `write`; joining what one tick produced for a connection is worth ten times the
throughput (DESIGN 6). While the transport's buffer is full the bytes wait here, counted; a reader of replayed lanes
that lets more than the bound pile up is cut with 3008 and recovers later.
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
    """What the realtime core has done since the process started; read by the metrics page."""

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
    )

    def __init__(self) -> None:
        """Start from zero."""
        self.bytes_sent = self.commands = self.connections_total = self.deliveries = 0
        self.duplicates = self.flood_cuts = self.gap_fills = self.log_failures = self.pongs_missed = 0
        self.publications = self.recoveries = self.recoveries_refused = self.slow_cuts = 0
        self.refused: dict[str, int] = {}
        """New connections that were told to come again, by `admission.REASONS`."""


Outgoing = bytes | list[bytes] | None
"""Ready frames: none, one run of bytes, or several to be joined."""


def joined(out: Outgoing) -> bytes:
    """Return ready frames as one run of bytes."""
    if isinstance(out, list):
        return b"".join(out)
    return out or b""


def size_of(out: Outgoing) -> int:
    """Return the bytes of ready frames."""
    if isinstance(out, list):
        return sum(map(len, out))
    return len(out) if out else 0


class Flusher:
    """Collects connections with something to send and writes each once at the end of the tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, counters: Counters) -> None:
        """Start with nothing to send."""
        self.loop, self.limits, self.counters = loop, limits, counters
        self.dirty: list[Writer] = []
        """Connections whose `out` has to go out at the end of this tick."""
        self.full: set[Writer] = set()
        """Connections whose transport takes nothing now."""
        self.slow: list[Writer] = []
        self.scheduled = False

    def schedule(self) -> None:
        """Make sure a flush runs after what the event loop is doing now."""
        if not self.scheduled:
            self.scheduled = True
            self.loop.call_soon(self.flush)

    def broken(self, writer: "Writer") -> None:
        """A transport refused a write: that is a bug, or it is closing; its connection ends, the others go on."""
        _log.exception("a write failed")
        self.slow.append(writer)

    def distribute(self) -> None:
        """Put what the tick has published into the outgoing bytes of its readers."""

    def flush(self) -> None:
        """Write each connection's bytes of this tick with one call; cut those that fell too far behind."""
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
                except Exception:  # noqa: BLE001 - one broken transport must not cost the others their bytes
                    self.broken(writer)
                if writer.solicited and not writer.paused:
                    writer.solicited = 0
        self.counters.bytes_sent += sent
        if self.slow:
            slow, self.slow = self.slow, []
            for writer in slow:
                with contextlib.suppress(Exception):  # a broken transport refuses the goodbye too
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
        """Ready frames not given to the transport yet; not None means `flusher` knows or the transport is full."""
        self.paused = False
        self.waiting = 0
        """Bytes in `out`, counted while paused."""
        self.solicited = 0
        """Bytes of answers among what is unsent: a client that asked for much is not slow because it gets much."""

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
        """Queue behind what waits already (`out` is not None)."""
        out = self.out
        if isinstance(out, list):
            out.append(frames)
        else:
            self.out = [out or b"", frames]
        if self.paused:
            self.waiting += len(frames)
            self.check_slow()

    def count_waiting(self) -> None:
        """Recount what waits for the transport."""
        self.waiting = size_of(self.out)
        self.check_slow()

    def check_slow(self) -> None:
        """Mark the connection for cutting when the bound is crossed."""
        unsent = self.waiting + self.buffered() - self.solicited
        if unsent > self.flusher.limits.outgoing_bytes_max:
            self.flusher.slow.append(self)
            self.flusher.schedule()

    def unsent(self) -> int:
        """Return the bytes waiting here and in the transport."""
        return size_of(self.out) + self.buffered()

    def pause(self) -> None:
        """The transport is full; what comes now waits in `out`."""
        self.paused = True
        self.flusher.full.add(self)
        self.count_waiting()

    def resume(self) -> None:
        """The transport takes bytes again."""
        self.paused = False
        self.flusher.full.discard(self)
        self.waiting = self.solicited = 0
        if self.out is not None:
            self.flusher.dirty.append(self)
            self.flusher.schedule()

    def cut_slow(self) -> None:
        """End the connection: it did not read what it subscribed to."""
        raise NotImplementedError
