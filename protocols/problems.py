"""Problem documents: what an HTTP answer says of a refusal. Source: RFC 9457."""

from typing import Any

from protocols.errors import Refusal
from protocols.values import to_json

PROBLEM_MEDIA_TYPE = b"application/problem+json"

MEMBERS = frozenset({"type", "title", "status", "detail", "code", "number", "trace_id"})
"""Members of a problem that a refusal's facts may not replace."""


def title_of(refusal: type[Refusal]) -> str:
    """Return the sentence of the catalogue: the first line of the class's docstring."""
    return (refusal.__doc__ or refusal.code).splitlines()[0]


def problem_members(refusal: Refusal, trace_id: str) -> dict[str, Any]:
    """Return the members of a refusal's problem document; its facts are extension members."""
    kind = type(refusal)
    document: dict[str, Any] = {
        "type": f"/v1/errors#{kind.code}",
        "title": title_of(kind),
        "status": kind.status,
        "detail": refusal.detail,
        "code": kind.code,
        "number": kind.number,
        "trace_id": trace_id,
    }
    document.update((name, value) for name, value in refusal.facts.items() if name not in MEMBERS)
    return document


def problem_body(refusal: Refusal, trace_id: str) -> bytes:
    """Return the problem+json document of a refusal."""
    return to_json(problem_members(refusal, trace_id))
