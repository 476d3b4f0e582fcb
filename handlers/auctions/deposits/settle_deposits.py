"""Timer: the deposits of winners go into the escrows of their deals; `return_deposits` returns the others.

Set in the transaction that settles an auction with a deposit. Each effect happens once: a deposit says what became of
it, in the transaction that moves the money.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from handlers.auctions.allocations import winners
from handlers.auctions.deposits.rules import ESCROW_MS
from handlers.auctions.guard_rules import OPEN
from handlers.auctions.locking import LockedAuction, lock_auctions
from handlers.contract import Event, Fact, Outcome, Stores, Timer
from protocols.auctions.deposits import DepositApplied, DepositLapsed
from protocols.errors import Refusal
from protocols.payments.channels import escrow_stream
from protocols.payments.deals import Deal, DealLine
from protocols.payments.escrows import OpenEscrow
from protocols.topics import personal_channel
from storage.auctions.deposits_postgres import DepositEnd, DepositRow, end_deposits, lock_deposits
from storage.listings.lookups import read_categories_of
from storage.payments.commission import quote_commission
from storage.payments.escrow import END_ESCROW, EscrowChange, change_escrows, lines_of_quote


async def settle_deposits(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Apply the deposits of those who won auctions that are over, and have the others returned."""
    auctions = {
        auction_id: auction
        for auction_id, auction in (await lock_auctions(stores.db, set(refs))).items()
        if auction.state.status not in OPEN
    }
    pairs = [(i, user_id) for i, auction in auctions.items() for user_id, _ in winners(auction)]
    rows = await lock_deposits(stores.db, pairs)
    outcomes = await _apply(rows, auctions, stores, now_ms)
    timers = [Timer("return_deposits", auction_id, now_ms) for auction_id in auctions]
    return [*outcomes, Outcome(None, timers=timers)]


async def _apply(
    rows: Sequence[DepositRow], auctions: Mapping[UUID, LockedAuction], stores: Stores, now_ms: int
) -> list[Outcome]:
    openings = [await _opening(row, auctions[row.auction_id], stores, now_ms) for row in rows]
    ends: dict[UUID, DepositEnd] = {}
    outcomes = []
    answers = await change_escrows(stores.db, openings, now_ms)
    for row, answer in zip(rows, answers, strict=True):
        auction = auctions[row.auction_id]
        if isinstance(answer, Refusal):  # its hold is over: the money is the bidder's again
            ends[row.deposit_id] = "lapsed"
            outcomes.append(_lapsed(row, auction))
        else:
            ends[row.deposit_id] = "applied"
            outcomes.append(_applied(row, auction, answer))
    await end_deposits(stores.db, ends)
    return outcomes


async def _opening(row: DepositRow, auction: LockedAuction, stores: Stores, now_ms: int) -> OpenEscrow:
    """Return the escrow of a winner's deposit: for the seller, less the commission on it."""
    terms = auction.terms
    line = DealLine(
        amount_minor=row.amount_minor,
        categories=tuple(await read_categories_of(stores.db, terms.listing_id)),
    )
    deal = Deal(kind="auction", currency=terms.currency, lines=(line,))
    quote = await quote_commission(stores.db, deal, now_ms)
    return OpenEscrow(
        escrow_id=row.deposit_id,
        kind="auction",
        ref=row.auction_id,
        payer_id=row.bidder_id,
        currency=terms.currency,
        lines=lines_of_quote(quote, terms.sale.seller_id),
        commission_version=quote.version,
        ends_at_ms=now_ms + ESCROW_MS,
        hold_id=row.deposit_id,
    )


def _applied(row: DepositRow, auction: LockedAuction, change: EscrowChange) -> Outcome:
    """Return what winner, seller and other domains are told of an escrow, and its timer."""
    terms, escrow_id = auction.terms, row.deposit_id
    applied = DepositApplied(
        auction_id=row.auction_id,
        title=terms.title,
        deposit=row.amount_minor,
        currency=terms.currency,
        escrow_id=escrow_id,
    )
    notice = change.to_notice()
    events = [Event(personal_channel(row.bidder_id), "deposit_applied", applied)]
    events += [Event(personal_channel(who), "escrow_opened", notice) for who in change.escrow.parties]
    assert change.due_at_ms is not None, "it is open"
    return Outcome(
        None,
        events=events,
        facts=[Fact(escrow_stream(escrow_id), change.to_fact())],
        timers=[Timer(END_ESCROW, escrow_id, change.due_at_ms)],
    )


def _lapsed(row: DepositRow, auction: LockedAuction) -> Outcome:
    """Return what winner and seller are told of a deposit that came too late to be applied."""
    terms = auction.terms
    lapsed = DepositLapsed(
        auction_id=row.auction_id, title=terms.title, deposit=row.amount_minor, currency=terms.currency
    )
    people = (row.bidder_id, terms.sale.seller_id)
    return Outcome(None, events=[Event(personal_channel(who), "deposit_lapsed", lapsed) for who in people])
