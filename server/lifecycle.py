"""The life of a process: start, serve until SIGTERM or SIGINT, leave in order.

A server process that is told to end first fails readiness and stops accepting, sends its sockets elsewhere spread over
the grace time (close code 3001: reconnect), finishes requests under way, then closes its engines. A worker finishes the
step it is in.
"""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import cast

import structlog
import uvicorn

from handlers.settings import Settings, SettingsError
from realtime.endpoints.handshake_sniffer import HandshakeSniffer
from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.transport.websocket import LeanWebSocket
from server.domains import jobs_of, reactions_of, retention_of
from server.http.protocol import BoundedHttp
from server.process.accepting import Acceptor
from server.process.garbage import GarbageKeeper
from server.process.heartbeat import Heartbeat
from server.process.metrics import Metrics
from server.process.process_figures import watch_process
from server.wiring import open_server
from server.worker.figures import watch_work
from server.worker.money_figures import watch_money
from server.worker.relay import Relay
from server.worker.retention import delete_old_rows
from server.worker_wiring import WorkerProcess, open_worker
from storage.engines.tasks import end_tasks

BACKLOG = 4096
"""Connections the kernel may hold while the process is busy: a storm of 5,000 a second waits under a second."""

KEEP_ALIVE_S = 75
"""Idle HTTP connections are kept this long; longer than common proxies keep theirs."""

_log = structlog.get_logger()


class _Server(uvicorn.Server):
    """uvicorn without its own signals and listeners: `serve` decides when to end, `Acceptor` who comes in."""

    def __init__(self, config: uvicorn.Config, endpoint: SocketEndpoint, listening: socket.socket) -> None:
        super().__init__(config)
        self._endpoint = endpoint
        self.acceptor = Acceptor(listening, self._make_protocol, endpoint.hub.admission.is_behind)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.acceptor.start()

    def _make_protocol(self, peer: str) -> asyncio.Protocol:
        return HandshakeSniffer(self._endpoint, self.server_state, self._make_http, peer)

    def _make_http(self) -> asyncio.Protocol:
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(settings: Settings, heartbeat_fd: int | None = None, number: int = 0) -> None:
    """Run the server process with this number until a signal; several share the port (SO_REUSEPORT).

    Beats from when it serves.
    """
    _raise_descriptor_limit()
    ending = _ending()
    async with open_server(settings, number=number) as process:
        listening = _listen(settings)
        server = _Server(
            uvicorn.Config(
                process.app,
                ws=LeanWebSocket,
                http=partial(BoundedHttp, admission=process.hub.admission),  # type: ignore[arg-type]
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),  # anybody else can write X-Forwarded-For
                forwarded_allow_ips=settings.trusted_proxies,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=10,
            ),
            process.endpoint,
            listening,
        )
        beside = [
            asyncio.create_task(GarbageKeeper().run(), name="garbage"),
            asyncio.create_task(watch_process(process.metrics), name="process-figures"),
        ]
        serving = asyncio.create_task(server.serve(sockets=[]), name="serve")
        Heartbeat(process.metrics.loop_lag.set, heartbeat_fd).start()
        _log.info("serving", url=settings.url)
        await asyncio.wait({serving, asyncio.create_task(ending.wait())}, return_when=asyncio.FIRST_COMPLETED)
        _log.info("draining", connections=len(process.hub.connections))
        process.hub.draining = True  # not ready from now on
        server.acceptor.stop()
        await process.hub.drain(settings.drain_s if process.hub.connections else 0)
        server.should_exit = True
        await serving
        await end_tasks(beside)
    _log.info("ended")


async def work(settings: Settings, heartbeat_fd: int | None = None) -> None:
    """Run one worker process until a signal. Beats from when it works."""
    ending = _ending()
    async with open_worker(settings) as process:
        jobs = [
            asyncio.create_task(process.relay.run(), name="relay"),
            asyncio.create_task(process.timers.run(), name="timers"),
            asyncio.create_task(process.reactions.dispatcher.run(), name="reactions"),
            asyncio.create_task(process.jobs.dispatcher.run(), name="jobs"),
            asyncio.create_task(_watch_work(process), name="work-figures"),
            asyncio.create_task(
                watch_money(process.base.database, process.base.metrics), name="money-figures"
            ),
            asyncio.create_task(
                delete_old_rows(process.base.database, retention_of(process.base.domains)), name="retention"
            ),
            asyncio.create_task(_report(process), name="report"),
            asyncio.create_task(watch_process(process.base.metrics), name="process-figures"),
        ]
        Heartbeat(process.base.metrics.loop_lag.set, heartbeat_fd).start()
        _log.info("working")
        waiting = asyncio.create_task(ending.wait())
        await asyncio.wait({waiting, *jobs}, return_when=asyncio.FIRST_COMPLETED)
        await end_tasks(jobs)
    _log.info("ended")


def _ending() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets."""
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    return ending


def _listen(settings: Settings) -> socket.socket:
    """Return the socket that clients connect to. Raises SettingsError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((settings.host, settings.port))
    except (OSError, UnicodeError) as error:
        listening.close()
        told = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port}: {told}; set MNBARA_HOST and MNBARA_PORT"
        ) from error
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


def _raise_descriptor_limit() -> None:
    """Take as many file descriptors as the system lets us have: one per connection."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _watch_work(process: WorkerProcess) -> None:
    await watch_work(
        process.base.database,
        process.base.metrics,
        {*reactions_of(process.base.domains), *jobs_of(process.base.domains)},
    )


async def _report(process: WorkerProcess) -> None:
    """Copy the relay's lag, and the disk of its stream, into their metrics."""
    metrics: Metrics = process.base.metrics
    relay: Relay = process.relay
    while True:
        metrics.relay_lag.set(relay.lag_ms / 1000)
        metrics.stream_bytes.set(relay.stream_bytes_max)
        await asyncio.sleep(1)
