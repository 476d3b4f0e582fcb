"""Timer: look at closed auctions for signals of abuse, some time after the end, a few at a time.

It may come twice: a signal is raised once. Rules: signals/rules.py.
"""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.locking import AuctionTerms, read_auction_terms
from handlers.auctions.signals.rules import HISTORY_MS, Conduct, Finding, count_public, find_signals
from handlers.contract import Event, Outcome, Stores, Timer
from protocols.auctions.channels import signal_stream
from protocols.auctions.signals import SignalRaised
from protocols.values import new_id, to_json
from storage.auctions import signals_postgres
from storage.auctions.auctions_postgres import read_auction
from storage.auth.lookups import find_shared_addresses

REVIEW_CHUNK = 5
"""Auctions looked at in one transaction: about 20 ms of work, so that no closing waits long."""

REVIEW_GAP_MS = 100
"""How far apart the next ones are put."""


async def review_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Raise the signals of the first few auctions, and put the others off a little."""
    auction_ids = list(dict.fromkeys(refs))
    outcomes = [
        Outcome(
            None,
            timers=[
                Timer("review_auction", auction_id, now_ms + index // REVIEW_CHUNK * REVIEW_GAP_MS)
                for index, auction_id in enumerate(auction_ids)
                if index >= REVIEW_CHUNK
            ],
        )
    ]
    chosen = auction_ids[:REVIEW_CHUNK]
    await signals_postgres.insert_activity(stores.db, chosen, now_ms)
    reviews = [Outcome(None, await _review(auction_id, stores, now_ms)) for auction_id in chosen]
    return [*outcomes, *reviews]


async def _review(auction_id: UUID, stores: Stores, now_ms: int) -> list[Event]:
    """Raise the signals of one auction and return their events."""
    terms = await read_auction_terms(stores.db, auction_id)
    row = await read_auction(stores.db, auction_id)
    assert row is not None, "its terms were just read"
    conducts = await signals_postgres.read_conduct(stores.db, auction_id, now_ms - HISTORY_MS)
    retracted: defaultdict[UUID, list[tuple[int, int]]] = defaultdict(list)
    for bid in await signals_postgres.read_own_retractions(stores.db, auction_id):
        retracted[bid.bidder_id].append((bid.amount, bid.at_ms))
    bidders = [row.bidder_id for row in conducts]
    shared = await find_shared_addresses(stores.db, terms.sale.seller_id, bidders)
    events = []
    for row_of_bidder in conducts:
        bidder_id = row_of_bidder.bidder_id
        conduct = Conduct(
            auctions=row_of_bidder.auctions,
            auctions_here=row_of_bidder.auctions_here,
            bids_here=row_of_bidder.bids_here,
            wins_here=row_of_bidder.wins_here,
        )
        findings = find_signals(
            conduct,
            [] if terms.rules.descending else retracted[bidder_id],
            row.price,
            row.ends_at_ms,
            count_public(shared.get(bidder_id, ())),
        )
        for finding in findings:
            events += await _raise(terms, bidder_id, finding, stores, now_ms)
    return events


async def _raise(
    terms: AuctionTerms, bidder_id: UUID, finding: Finding, stores: Stores, now_ms: int
) -> list[Event]:
    """Write a signal unless it was raised before."""
    signal_id, seller_id = new_id(), terms.sale.seller_id
    evidence = to_json(finding.evidence).decode()
    columns = (
        signal_id,
        terms.auction_id,
        seller_id,
        bidder_id,
        finding.kind,
        finding.score,
        evidence,
        now_ms,
    )
    if not await signals_postgres.insert_signal(stores.db, columns):
        return []
    raised = SignalRaised(
        signal_id=signal_id,
        auction_id=terms.auction_id,
        seller_id=seller_id,
        bidder_id=bidder_id,
        kind=finding.kind,  # type: ignore[arg-type]
        score=finding.score,
        evidence=finding.evidence,
    )
    return [Event(signal_stream(signal_id), "signal_raised", raised, 1)]
