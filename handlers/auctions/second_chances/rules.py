"""The rules of second chances as pure functions: what can be offered to whom, and which offer still stands.

Source: eBay's second chance offers: a runner-up, at the own highest bid, within sixty days, when the winner does not
pay, the reserve was not met, or there is another piece. Of several units, as many as were auctioned can be offered once
more; in a reverse auction the job goes to the next lowest, at their own price.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from protocols.auctions.second_chances import SecondChanceNotOpen, SecondChanceUnavailable

DAY_MS = 86_400_000

WINDOW_MS = 60 * DAY_MS
"""How long after an auction's close offers are made."""

OFFERS_MAX = 10
"""Offers of an auction of one unit, whatever became of them; every further unit allows one more."""

AUCTIONED, ANOTHER = "auctioned", "another"


class Offer(Struct, frozen=True):
    """An offer that was made before."""

    offer_id: UUID
    bidder_id: UUID
    piece: str
    status: str
    expires_at_ms: int
    quantity: int = 1


class Ranked(Struct, frozen=True):
    """A bidder with the standing bid that counts."""

    bidder_id: UUID
    amount: int
    """For each unit."""
    quantity: int = 1
    """Units asked for; of those left out, the ones they did not get."""


class Ending(Struct, frozen=True):
    """How the auction ended."""

    status: str
    closed_at_ms: int
    quantity: int
    """Units that were up for auction."""
    got: Mapping[UUID, int]
    """The units of each winner."""


def count_left(ending: Ending, made: Sequence[Offer]) -> int:
    """Return how many of the auctioned units no offer has sold; those of the winners count as fallen free."""
    offered = sum(ending.got.values()) if ending.status == "sold" else ending.quantity
    return offered - sum(o.quantity for o in made if o.status == "accepted" and o.piece == AUCTIONED)


def check_offer(ending: Ending, made: Sequence[Offer], now_ms: int, *, saleable: int, another: bool) -> int:
    """Return how many units an offer of a closed auction can be about; `saleable` is what the listing has left to sell.

    Raises: SecondChanceUnavailable.
    """
    if ending.status not in {"sold", "unsold"}:
        raise SecondChanceUnavailable("Offers are made when an auction has ended, and was not cancelled")
    if now_ms - ending.closed_at_ms > WINDOW_MS:
        raise SecondChanceUnavailable("Offers are made within sixty days of the end")
    offers_max = OFFERS_MAX + ending.quantity - 1
    if len(made) >= offers_max:
        raise SecondChanceUnavailable(f"Of this auction at most {offers_max} offers are made")
    if another and ending.status != "sold":
        raise SecondChanceUnavailable("The auction sold nothing: offer the piece itself")
    left = count_left(ending, made)
    if not another and left < 1:
        raise SecondChanceUnavailable("Another bidder has accepted; offer another piece, if there is one")
    if (another or ending.status == "unsold") and saleable < 1:
        raise SecondChanceUnavailable("The listing has no piece left to sell")
    if another:
        return saleable
    return left if ending.status == "sold" else min(left, saleable)


def left_out(ranking: Sequence[Ranked], got: Mapping[UUID, int]) -> list[Ranked]:
    """Return who did not get all that they bid for, best bid first, with what is missing."""
    missing = [Ranked(r.bidder_id, r.amount, r.quantity - got.get(r.bidder_id, 0)) for r in ranking]
    return [ranked for ranked in missing if ranked.quantity > 0]


def choose_bidder(
    losers: Sequence[Ranked], made: Sequence[Offer], *, nth: int | None, bidder_id: UUID | None
) -> Ranked:
    """Return who gets the offer: a bidder, or the nth of those who were left out.

    Raises: SecondChanceUnavailable.
    """
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


def choose_quantity(chosen: Ranked, left: int, wanted: int | None) -> int:
    """Return how many units the offer is about: those wanted, or as many as fit. Raises SecondChanceUnavailable."""
    if wanted is None:
        return min(chosen.quantity, left)
    if wanted > left:
        raise SecondChanceUnavailable(f"There are {left} units to offer")
    if wanted > chosen.quantity:
        raise SecondChanceUnavailable(f"This bidder has bid for {chosen.quantity} more, not for {wanted}")
    return wanted


def check_open(offer: Offer, now_ms: int) -> None:
    """Let a decision about an open offer pass. Raises SecondChanceNotOpen."""
    if offer.status != "open":
        raise SecondChanceNotOpen(f"This offer was {offer.status}", offer_status=offer.status)
    if now_ms >= offer.expires_at_ms:
        raise SecondChanceNotOpen("This offer has expired", offer_status="expired")


def superseded(accepted: Offer, offers: Sequence[Offer], ending: Ending) -> list[UUID]:
    """Return the open offers that end because one was accepted: those of more auctioned units than are left."""
    if accepted.piece == ANOTHER:
        return []
    left = count_left(ending, offers) - accepted.quantity
    return [
        offer.offer_id
        for offer in offers
        if offer.status == "open"
        and offer.piece == AUCTIONED
        and offer.offer_id != accepted.offer_id
        and offer.quantity > left
    ]
