"""The command table: every route by name, with its limits, permission, decoder and metrics; shared by RPC and REST.

`call` serves an RPC: bytes in, a future of the answer's bytes out. REST calls `run` with a struct that it decoded.
Refusals leave `call` as error replies; unknown errors as `internal` with a trace id in the log.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from time import perf_counter
from typing import Any

from msgspec import Struct

from handlers.contract import Caller, Download, Permission, Route
from protocols.errors import Fault, Refusal, Unauthenticated
from protocols.values import new_id
from realtime.ports import ProtocolError
from server.commands.decoding import StructDecoder
from server.commands.errors_out import Outages, as_refusal, rpc_error
from server.commands.idempotency import Answer
from server.commands.pipeline import Pipeline, check_permission
from server.commands.ratelimits import LocalLimits, budgets_of
from server.process.metrics import Metrics
from server.process.tallies import CommandMetric

OR_REFUSAL = ".or_refusal"
"""What an RPC's method ends with when a refusal shall be its answer: SDKs hand an error's code and message to their
callers, and of an answer everything."""

_outages = Outages()

COMMAND_TIMEOUT_S = 10.0
"""A command that is not answered by then is answered `temporarily_unavailable`; its engines give up long before."""


class Command:
    """One route, ready to run."""

    __slots__ = ("count_deprecated", "decoder", "over_rest", "over_rpc", "route", "takes_key")

    def __init__(self, route: Route, metrics: Metrics) -> None:
        """Build its decoder and resolve its metrics."""
        self.route = route
        self.decoder = StructDecoder(route.command)
        self.over_rpc = metrics.command(route.name, "rpc")
        self.over_rest = metrics.command(route.name, "rest")
        self.takes_key = "key" in route.command.__struct_fields__
        self.count_deprecated: Callable[[str], object] | None = None
        """Called with the transport at every call of a deprecated route."""
        if route.deprecated is not None:
            calls = metrics.deprecated_calls
            self.count_deprecated = lambda transport: calls.labels(route.name, transport).inc()


class CommandTable:
    """Routes by name."""

    def __init__(
        self, routes: Sequence[Route], pipeline: Pipeline, limits: LocalLimits | None, metrics: Metrics
    ) -> None:
        """Take the routes of all domains; `limits` of None lets everybody call as fast as they can."""
        self.commands = {route.name: Command(route, metrics) for route in routes}
        if len(self.commands) != len(routes):
            raise RuntimeError("two routes have the same name")
        self._or_refusal = {name + OR_REFUSAL: command for name, command in self.commands.items()}
        self._pipeline = pipeline
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._unknown = metrics.command("unknown", "rpc")

    def knows(self, method: str) -> bool:
        """Whether there is such a method, by either of its names."""
        return method in self.commands or method in self._or_refusal

    async def run(self, command: Command, value: Struct, caller: Caller) -> Answer:
        """Run a decoded command of a caller who passed `check_permission`.

        Raises the route's refusals; TimeoutError after `COMMAND_TIMEOUT_S`.
        """
        _check_key(command, value, caller)
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            return await self._pipeline.run(command.route, value, caller)

    async def download(self, command: Command, value: Struct, caller: Caller) -> Download | None:
        """Return the file that a query asks for, or None, as `run` returns its answer. Raises as `run` does."""
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            return await self._pipeline.download(command.route, value, caller)

    def call(self, method: str, data: bytes, caller: Caller) -> "asyncio.Future[bytes] | GroupedReply":
        """Run an RPC. An anonymous caller takes from the budgets of its `remote_ip`.

        Grouped commands make neither task nor future. Raises: ProtocolError, at once or from what is returned; it has
        a reply when the method ends with `OR_REFUSAL`.
        """
        started, as_reply = perf_counter(), False
        command = self.commands.get(method)
        if command is None and (command := self._or_refusal.get(method)) is not None:
            as_reply = True
        if command is None or not command.route.rpc:
            self._unknown.done("unknown_method", perf_counter() - started)
            raise ProtocolError(104, "method not found")
        if command.count_deprecated is not None:
            command.count_deprecated("rpc")
        try:
            self._limit(command, caller)
            check_permission(command.route, caller)
            value = command.decoder.decode(data)
            if not command.route.grouped:
                return self._loop.create_task(self._call(command, value, caller, started, as_reply=as_reply))
            _check_key(command, value, caller)
            reply = GroupedReply(command, started, as_reply=as_reply)
            self._pipeline.submit(command.route, value, caller, reply.settle)
        except Exception as error:  # noqa: BLE001 - every error of a caller's command is answered to it
            raise _refuse(command, error, started, as_reply=as_reply) from None
        return reply

    def _limit(self, command: Command, caller: Caller) -> None:
        if self._limits is not None:
            verdict = self._limits.take_all(budgets_of(caller), command.route.cost)
            if not verdict.allowed:
                verdict.check()

    async def _call(
        self, command: Command, value: Struct, caller: Caller, started: float, *, as_reply: bool
    ) -> bytes:
        try:
            answer = await self.run(command, value, caller)
        except Exception as error:  # noqa: BLE001 - as above
            raise _refuse(command, error, started, as_reply=as_reply) from None
        command.over_rpc.done("ok", perf_counter() - started)
        return reply_bytes(answer)


class GroupedReply:
    """The answer of a grouped command: `settle` is the group commit's callback, the rest is `PendingReply`.

    It can be awaited too.
    """

    __slots__ = ("_as_reply", "_callback", "_command", "_done", "_error", "_result", "_started")

    def __init__(self, command: Command, started: float, *, as_reply: bool) -> None:
        """Wait for `settle`."""
        self._as_reply = as_reply
        self._command = command
        self._started = started
        self._callback: Callable[[GroupedReply], object] | None = None
        self._done = False
        self._error: ProtocolError | None = None
        self._result = b""

    def settle(self, answer: Answer | Exception) -> None:
        """Take the answer, count it, and pass it on at once."""
        if isinstance(answer, Exception):
            self._error = _refuse(self._command, answer, self._started, as_reply=self._as_reply)
        else:
            self._command.over_rpc.done("ok", perf_counter() - self._started)
            self._result = reply_bytes(answer)
        self._done = True
        if self._callback is not None:
            self._callback(self)

    def __await__(self) -> Generator[Any, None, bytes]:
        """Wait for the answer. Raises ProtocolError."""
        future = asyncio.get_running_loop().create_future()
        self.add_done_callback(lambda _reply: None if future.done() else future.set_result(None))
        yield from future
        if self._error is not None:
            raise self._error
        return self._result

    def add_done_callback(self, callback: "Callable[[GroupedReply], object]", /) -> None:
        """Have `callback` called in the tick of the commit."""
        self._callback = callback
        if self._done:
            callback(self)

    def cancelled(self) -> bool:
        """Whether it was given up: never, a commit under way is not."""
        return False

    def exception(self) -> ProtocolError | None:
        """Return the error reply."""
        return self._error

    def result(self) -> bytes:
        """Return the answer."""
        return self._result


def reply_bytes(answer: Answer) -> bytes:
    """Return the data of an RPC reply: the answer, marked when it repeats the first one of its key."""
    body = answer.body
    if not answer.replayed:
        return body
    if not body.endswith(b"}"):
        return b'{"replayed":true}'
    return body[:-1] + (b'"replayed":true}' if body == b"{}" else b',"replayed":true}')


def _check_key(command: Command, value: Struct, caller: Caller) -> None:
    """A key is remembered per user, so a call without one cannot have a key. Raises Unauthenticated."""
    if (
        not command.takes_key
        or caller.user_id is not None
        or command.route.permission is not Permission.ANYONE
    ):
        return
    if getattr(value, "key", ""):
        raise Unauthenticated("An idempotency key is kept for its user: sign in, or send none")


def _refuse(command: Command, error: BaseException, started: float, *, as_reply: bool) -> ProtocolError:
    """Count a refused command and return its error reply; the cause of a fault is in the log under its trace id."""
    trace_id = "" if isinstance(error, Refusal | TimeoutError) else str(new_id())
    refusal = as_refusal(error, trace_id, command=command.route.name)
    if not trace_id and isinstance(refusal, Fault):
        trace_id = _outages.trace_id(command.route.name, error, type(refusal).code)
    outcome(command.over_rpc, refusal, started)
    return rpc_error(refusal, trace_id, as_reply=as_reply)


def outcome(metric: CommandMetric, refusal: Refusal, started: float) -> None:
    """Count a refusal under its code word."""
    metric.done(type(refusal).code, perf_counter() - started)
