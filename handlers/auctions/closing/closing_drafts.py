"""Closings prepared before their time: if an auction stays as it was read, only its end is left to be written.

A draft applies only if the auction's newest event is still the one it was made from; the database checks that.
Everything else is decided under the lock of the row, by `close_auction`.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec import Raw, Struct
from msgspec.structs import replace

from handlers.auctions.announcements import announce_end
from handlers.auctions.locking import AuctionTerms, LockedAuction, read_terms_by_id
from handlers.auctions.rules import AuctionState, closing_time
from handlers.contract import Outcome, Stores
from protocols.values import to_json
from storage.auctions.auctions_postgres import end_unchanged, read_changed_states
from storage.engines.postgres import Connection

DRAFTS_MAX = 20_000
"""Drafts in memory, about 2 KB each: more than end within the few seconds that they are made ahead."""


class _Draft(Struct, frozen=True):
    closes_at_ms: int
    event_number: int
    """The newest event of the auction that was read."""
    sold: bool
    outcome: Outcome


_drafts: dict[UUID, _Draft] = {}
"""The oldest entry makes room."""


async def prepare_closing(refs: Sequence[UUID], stores: Stores) -> None:
    """Draft the closing of auctions that end soon, again of those that have changed. Cost: two round trips at most."""
    terms_by_id = await read_terms_by_id(stores.db, refs)
    known = {ref: draft.event_number if (draft := _drafts.get(ref)) else 0 for ref in refs}
    for auction_id, *state in await read_changed_states(stores.db, known):
        _drafts.pop(auction_id, None)
        draft = _draft(terms_by_id[auction_id], AuctionState(*state))
        if draft is not None:
            _drafts[auction_id] = draft
    while len(_drafts) > DRAFTS_MAX:
        del _drafts[next(iter(_drafts))]


def _draft(terms: AuctionTerms, before: AuctionState) -> _Draft | None:
    """Return how an auction closes if nothing happens any more, or None where more than its status changes then."""
    end = terms.rules.end
    is_plain = (
        terms.rules.bid_mechanism == "open" and terms.sale.quantity == 1 and not terms.sale.exposure_guard
    )
    if before.status != "live" or not is_plain or end is None:
        return None
    auction = LockedAuction(terms, before)
    auction.state = end(terms.sale, before)
    closes_at_ms = closing_time(before.ends_at_ms)
    outcome = _encode(announce_end(auction, closes_at_ms))
    return _Draft(closes_at_ms, before.event_number, auction.state.status == "sold", outcome)


def _encode(outcome: Outcome) -> Outcome:
    """Return the outcome with its data as JSON: nothing is left to do for them when time is short."""
    events = [replace(event, data=Raw(to_json(event.data))) for event in outcome.events]
    latest = [replace(value, data=Raw(to_json(value.data))) for value in outcome.latest]
    return replace(outcome, events=events, latest=latest)


async def close_drafted(db: Connection, refs: Iterable[UUID], now_ms: int) -> dict[UUID, Outcome]:
    """Close those auctions whose drafts are due and hold; return their outcomes. Cost: one round trip, or none."""
    drafts = {
        ref: draft for ref in refs if (draft := _drafts.pop(ref, None)) and draft.closes_at_ms <= now_ms
    }
    if not drafts:
        return {}
    known = {ref: draft.event_number for ref, draft in drafts.items()}
    ended = await end_unchanged(db, known, [ref for ref, draft in drafts.items() if draft.sold])
    return {ref: drafts[ref].outcome for ref in ended}
