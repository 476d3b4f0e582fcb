"""Timer: deposits of those who did not win return, a chunk at a time, so that many bidders block nobody."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.locking import AuctionTerms, read_terms_by_id
from handlers.contract import Event, Outcome, Stores, Timer
from protocols.auctions.deposits import DepositReturned
from protocols.payments.postings import VoidHold
from protocols.topics import personal_channel
from protocols.values import new_id
from storage.auctions.deposits_postgres import DepositRow, take_returned
from storage.payments.posting import post

RETURNED_CHUNK = 200
"""Deposits returned in one transaction: about 20 ms of work."""


async def return_deposits(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Return the next chunk of deposits of auctions that are over, and set the timer again while some are left."""
    auction_ids = list(dict.fromkeys(refs))
    rows = await take_returned(stores.db, auction_ids, RETURNED_CHUNK)
    if not rows:
        return []
    steps = [[VoidHold(hold_id=row.deposit_id, return_id=new_id())] for row in rows]
    answers = await post(stores.db, steps, now_ms)
    assert not any(answers), "a deposit that nothing became of is a hold, or one whose time is over"
    terms = await read_terms_by_id(stores.db, {row.auction_id for row in rows})
    timers = []
    if len(rows) == RETURNED_CHUNK:
        timers = [Timer("return_deposits", auction_id, now_ms) for auction_id in auction_ids]
    return [Outcome(None, events=[_event(row, terms[row.auction_id]) for row in rows], timers=timers)]


def _event(row: DepositRow, terms: AuctionTerms) -> Event:
    returned = DepositReturned(
        auction_id=row.auction_id, title=terms.title, deposit=row.amount_minor, currency=terms.currency
    )
    return Event(personal_channel(row.bidder_id), "deposit_returned", returned)
