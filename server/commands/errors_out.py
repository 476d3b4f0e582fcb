"""Refusals on their way out: problem+json for REST, an error reply for RPC, one catalogue behind both.

What is not a refusal is a bug: logged with its traceback under a trace id, answered `internal` without detail.
Source: RFC 9457.
"""

import structlog

from protocols.errors import CATALOGUE, Internal, Refusal, TemporarilyUnavailable
from protocols.problems import problem_members, title_of
from protocols.values import to_json
from realtime.ports import ProtocolError

_log = structlog.get_logger()


def as_refusal(error: BaseException, trace_id: str, **where: str) -> Refusal:
    """Return what the caller may know of an error; a bug is logged with its traceback and becomes `internal`."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, TimeoutError):
        return TemporarilyUnavailable("The command took too long; try again with the same key")
    _log.error("internal_error", trace_id=trace_id, exc_info=error, **where)
    return Internal()


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
    return ProtocolError(kind.number, text, temporary=kind.temporary, reply=reply)


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
