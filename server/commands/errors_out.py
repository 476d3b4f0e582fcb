"""Refusals on their way out: problem+json for REST, an error reply for RPC, one catalogue behind both.

What is not a refusal is a bug: logged with its traceback under a trace id, answered `internal` without detail.
Source: RFC 9457.
"""

from time import monotonic

import structlog

from protocols.errors import CATALOGUE, Internal, Refusal, TemporarilyUnavailable
from protocols.problems import problem_members, title_of
from protocols.values import new_id, to_json
from realtime.ports import ProtocolError
from server.process.logs import redact_text

_log = structlog.get_logger()

CAUSE_CHARACTERS_MAX = 300
"""Of an outage's cause, in the log."""

SHARED_S = 1.0
CAUSES_MAX = 200
"""Of outages that are remembered, so that the next ones share their lines."""


def as_refusal(error: BaseException, trace_id: str, **where: str) -> Refusal:
    """Return what the caller may know of an error; a bug is logged with its traceback and becomes `internal`."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, TimeoutError):
        return TemporarilyUnavailable("The command took too long; try again with the same key")
    _log.error("internal_error", trace_id=trace_id, exc_info=error, **where)
    return Internal()


def cause_of(error: BaseException) -> str:
    """Return what is behind an outage, for the log: without secrets, and cut."""
    cause = error.__cause__ or error
    return redact_text(f"{type(cause).__name__}: {cause}")[:CAUSE_CHARACTERS_MAX]


class Outages:
    """Outages that commands meet, each logged under a trace id.

    Within a second those of one command and cause share a line and its id: in an outage all clients try again.
    """

    def __init__(self) -> None:
        """Start without any."""
        self._told: dict[tuple[str, str], tuple[str, float]] = {}

    def trace_id(self, command: str, error: BaseException, code: str) -> str:
        """Return the id of the line that tells this outage, which is written now unless it has been."""
        now, cause = monotonic(), cause_of(error)
        trace_id, told_at = self._told.get((command, cause), ("", 0.0))
        if trace_id and now - told_at < SHARED_S:
            return trace_id
        if len(self._told) >= CAUSES_MAX:
            self._told.clear()
        trace_id = str(new_id())
        self._told[command, cause] = (trace_id, now)
        _log.warning("command_unavailable", trace_id=trace_id, command=command, code=code, cause=cause)
        return trace_id


def rpc_error(refusal: Refusal, trace_id: str = "", *, as_reply: bool = False) -> ProtocolError:
    """Return the error reply of a refusal: `<code>: <detail>`, then its facts as compact JSON when it has any.

    `as_reply`: with the problem document, as the answer of an RPC whose method says that it takes a refusal.
    """
    kind = type(refusal)
    facts = {**refusal.facts, "trace_id": trace_id} if trace_id else refusal.facts
    text = f"{kind.code}: {refusal.detail}"
    if facts:
        text += " " + to_json(facts).decode()
    reply = refusal_reply(refusal, trace_id) if as_reply else b""
    return ProtocolError(kind.number, text, temporary=kind.temporary, reply=reply, trace_id=trace_id)


def refusal_reply(refusal: Refusal, trace_id: str = "") -> bytes:
    """Return a refusal as the data of an RPC's answer: the problem document, and whether it is temporary."""
    document = problem_members(refusal, trace_id)
    if not trace_id:
        del document["trace_id"]
    return to_json({"refusal": {**document, "temporary": type(refusal).temporary}})


def list_errors() -> bytes:
    """Return the catalogue as `GET /v1/errors` prints it, ascending by number."""
    kinds = sorted(CATALOGUE.values(), key=lambda kind: kind.number)
    items = [
        {
            "code": kind.code,
            "number": kind.number,
            "status": kind.status,
            "temporary": kind.temporary,
            "title": title_of(kind),
        }
        for kind in kinds
    ]
    return to_json({"items": items, "next_cursor": None})
