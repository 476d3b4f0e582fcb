"""New connections, a few per turn of the event loop: who waits outside does not slow down who is in.

The event loop's own listeners take all that wait in one go; after an outage those are thousands, a second of work
during which nobody hears anything. Here the rest stays in the kernel's queue, in its order.
"""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable
from functools import partial

import structlog

TURN_S = 0.0002
"""How long of each turn of the event loop connections are taken, to the end of the one in hand: half a dozen. What they
want is bounded by `realtime.transport.admission`."""

EXHAUSTED_PAUSE_S = 0.25
"""How long nobody is taken after the system had no descriptor left."""

_log = structlog.get_logger()


class Acceptor:
    """Takes the connections of one listening socket."""

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[str], asyncio.BaseProtocol],
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare; `make_protocol` is told who comes. Nobody is taken before `start`, or while `is_behind`."""
        self._listening, self._make_protocol, self._is_behind = listening, make_protocol, is_behind
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        """Connections taken from the queue, until they have their protocol."""
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to take connections; nothing happens after `stop`."""
        self._pause = None
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._take_some)

    def stop(self) -> None:
        """Leave the port to the processes that share it; who the kernel has already given to this one is still served.

        A listener that closes resets what waits in its queue, so the queue is emptied first, and only then, in the same
        breath, the kernel is told to queue nothing more here. A handshake that ends within that breath is reset (one of
        ten thousand in a storm, measured), unless the kernel hands it over (`net.ipv4.tcp_migrate_req`).
        """
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        with contextlib.closing(self._listening), contextlib.suppress(OSError):
            with contextlib.suppress(OSError):  # BlockingIOError: the queue is empty
                while True:
                    self._take()
            self._listening.shutdown(socket.SHUT_RDWR)

    def _take_some(self) -> None:
        if self._is_behind():
            return
        ends_at = time.perf_counter() + TURN_S
        try:
            while True:
                self._take()
                if time.perf_counter() >= ends_at:
                    return
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                return  # the client left before it was taken
            _log.warning("accept_failed", error=str(error))
            self._loop.remove_reader(self._listening)
            self._pause = self._loop.call_later(EXHAUSTED_PAUSE_S, self.start)

    def _take(self) -> None:
        """Take one. Raises OSError, BlockingIOError when nobody waits."""
        accepted, peer = self._listening.accept()
        accepted.setblocking(False)
        task = self._loop.create_task(self._open(accepted, peer[0]))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket, peer: str) -> None:
        try:
            await self._loop.connect_accepted_socket(partial(self._make_protocol, peer), accepted)
        except OSError:  # it is gone already
            accepted.close()
