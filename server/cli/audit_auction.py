"""`./mnbara audit-auction`: fetch an auction's public audit from a running server, tell whether its result is right."""

from uuid import UUID

import httpx
import msgspec

from protocols.auctions.audits import AuctionAudit, AuditEvent
from server.cli.auditing import Verdict, audit

TIMEOUT_S = 20.0


class AuditUnavailableError(Exception):
    """The audit could not be read; the message says why."""


def fetch_audit(url: str, auction_id: UUID) -> tuple[AuctionAudit, list[AuditEvent]]:
    """Return the newest header and all events, page by page. Raises AuditUnavailableError."""
    events: list[AuditEvent] = []
    after: int | None = 0
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
        while after is not None:
            try:
                answer = http.get(f"/v1/auctions/{auction_id}/audit", params={"after": after})
            except httpx.HTTPError as error:
                raise AuditUnavailableError(f"{url} does not answer: {error}") from error
            if answer.status_code != 200:
                raise AuditUnavailableError(f"{url} answered {answer.status_code}: {answer.text[:200]}")
            try:
                page = msgspec.json.decode(answer.content, type=AuctionAudit)
            except msgspec.DecodeError as error:
                raise AuditUnavailableError(
                    f"{url} answered something else than an audit: {error}"
                ) from error
            events += page.events
            after = page.next_after
    return page, events


def describe(told: AuctionAudit, verdict: Verdict) -> str:
    """Return what the auditor says, a line for each fact and fault."""
    buyers = [verdict.winner] if verdict.winner else [f"{who} ({units})" for who, units in verdict.winners]
    winner = f" to {', '.join(buyers)}" if buyers else ""
    lines = [
        f"auction     {told.auction_id} ({told.format}, {told.currency})",
        f"checked     {told.version} events, {verdict.bids} standing bids",
        f"recomputed  {verdict.outcome}{winner}, price {verdict.price}",
        *(f"FAULT       {fault}" for fault in verdict.faults),
        "NOT EQUAL" if verdict.faults else "equal",
    ]
    return "\n".join(lines)


def audit_auction(url: str, auction_id: UUID) -> tuple[bool, str]:
    """Return whether everything is equal, and what to print. Raises AuditUnavailableError."""
    told, events = fetch_audit(url, auction_id)
    verdict = audit(told, events)
    return not verdict.faults, describe(told, verdict)
