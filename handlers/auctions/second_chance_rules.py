"""The rules of second chances as pure functions: what can be offered to whom, and which offer still stands.

Source: eBay's second chance offers: a runner-up, at the own highest bid, within sixty days, when the winner does not
pay, the reserve was not met, or there is another piece.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from protocols.second_chances import SecondChanceNotOpen, SecondChanceUnavailable

DAY_MS = 86_400_000

WINDOW_MS = 60 * DAY_MS
"""How long after an auction's close offers are made."""

OFFERS_MAX = 10
"""Offers of one auction, whatever became of them."""

AUCTIONED, ANOTHER = "auctioned", "another"


class Offer(Struct, frozen=True):
    """An offer that was made before."""

    offer_id: UUID
    bidder_id: UUID
    piece: str
    status: str
    expires_at_ms: int


class Ranked(Struct, frozen=True):
    """A bidder with the best of the standing bids."""

    bidder_id: UUID
    amount: int


def check_offer(
    status: str,
    closed_at_ms: int,
    made: Sequence[Offer],
    now_ms: int,
    *,
    pieces: int,
    another: bool,
) -> str:
    """Return which piece an offer of a closed auction is about; `pieces` are for sale beside it.

    Raises: SecondChanceUnavailable.
    """
    if status not in {"sold", "unsold"}:
        raise SecondChanceUnavailable("Offers are made when an auction has ended, and was not cancelled")
    if now_ms - closed_at_ms > WINDOW_MS:
        raise SecondChanceUnavailable("Offers are made within sixty days of the end")
    if len(made) >= OFFERS_MAX:
        raise SecondChanceUnavailable(f"Of one auction at most {OFFERS_MAX} offers are made")
    if another and status != "sold":
        raise SecondChanceUnavailable("The auction sold nothing: offer the piece itself")
    if any(offer.status == "accepted" and offer.piece == AUCTIONED for offer in made) and not another:
        raise SecondChanceUnavailable("Another bidder has accepted; offer another piece, if there is one")
    if (another or status == "unsold") and not pieces:
        raise SecondChanceUnavailable("The listing has no piece left to sell")
    return ANOTHER if another else AUCTIONED


def choose_bidder(
    ranking: Sequence[Ranked],
    winner: UUID | None,
    made: Sequence[Offer],
    *,
    nth: int | None,
    bidder_id: UUID | None,
) -> Ranked:
    """Return who gets the offer: a bidder, or the nth of those who did not get the auction, best bid first.

    Raises: SecondChanceUnavailable.
    """
    losers = [ranked for ranked in ranking if ranked.bidder_id != winner]
    if nth is not None:
        if nth > len(losers):
            raise SecondChanceUnavailable(f"There are {len(losers)} bidders who did not get it")
        chosen = losers[nth - 1]
    else:
        found = [ranked for ranked in losers if ranked.bidder_id == bidder_id]
        if not found:
            raise SecondChanceUnavailable("The bidder of this bid has none that stands, or got the auction")
        (chosen,) = found
    if any(offer.bidder_id == chosen.bidder_id for offer in made):
        raise SecondChanceUnavailable("This bidder has had an offer of this auction")
    return chosen


def check_open(offer: Offer, now_ms: int) -> None:
    """Let a decision about an open offer pass. Raises SecondChanceNotOpen."""
    if offer.status != "open":
        raise SecondChanceNotOpen(f"This offer was {offer.status}", offer_status=offer.status)
    if now_ms >= offer.expires_at_ms:
        raise SecondChanceNotOpen("This offer has expired", offer_status="expired")


def superseded(accepted: Offer, offers: Sequence[Offer]) -> list[UUID]:
    """Return the open offers that end because one was accepted: those of the same, single piece."""
    if accepted.piece == ANOTHER:
        return []
    return [
        offer.offer_id
        for offer in offers
        if offer.status == "open" and offer.piece == AUCTIONED and offer.offer_id != accepted.offer_id
    ]
