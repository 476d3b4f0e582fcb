"""What can be offered, to whom, and what an accept ends; by table."""

from uuid import UUID

import pytest

from handlers.auctions.second_chance_rules import (
    DAY_MS,
    OFFERS_MAX,
    Offer,
    Ranked,
    check_offer,
    check_open,
    choose_bidder,
    superseded,
)
from protocols.second_chances import SecondChanceNotOpen, SecondChanceUnavailable

ANN, BOB, CAT, DAN = (UUID(int=n) for n in range(1, 5))
RANKING = [Ranked(ANN, 90), Ranked(BOB, 80), Ranked(CAT, 80), Ranked(DAN, 10)]


def offer(n: int, bidder: UUID, *, piece: str = "auctioned", status: str = "open") -> Offer:
    return Offer(UUID(int=100 + n), bidder, piece, status, 1_000)


ACCEPTED = offer(1, BOB, status="accepted")


@pytest.mark.parametrize(
    ("status", "age_ms", "made", "pieces", "another", "piece"),
    [
        ("sold", 60 * DAY_MS, [], 0, False, "auctioned"),
        ("sold", 60 * DAY_MS + 1, [], 0, False, None),
        ("unsold", 0, [], 1, False, "auctioned"),
        ("unsold", 0, [], 0, False, None),
        ("unsold", 0, [], 1, True, None),
        ("cancelled", 0, [], 1, False, None),
        ("live", 0, [], 1, False, None),
        ("scheduled", 0, [], 1, False, None),
        ("sold", 0, [offer(n, UUID(int=n)) for n in range(OFFERS_MAX - 1)], 0, False, "auctioned"),
        ("sold", 0, [offer(n, UUID(int=n)) for n in range(OFFERS_MAX)], 0, False, None),
        ("sold", 0, [ACCEPTED], 5, False, None),
        ("sold", 0, [ACCEPTED], 5, True, "another"),
        ("sold", 0, [ACCEPTED], 0, True, None),
        ("sold", 0, [offer(1, BOB, piece="another", status="accepted")], 0, False, "auctioned"),
        ("unsold", 0, [ACCEPTED], 5, False, None),
    ],
)
def test_what_can_be_offered(status, age_ms, made, pieces, another, piece):
    facts = (status, 7, made, 7 + age_ms)
    if piece is None:
        with pytest.raises(SecondChanceUnavailable):
            check_offer(*facts, pieces=pieces, another=another)
    else:
        assert check_offer(*facts, pieces=pieces, another=another) == piece


@pytest.mark.parametrize(
    ("winner", "nth", "bidder", "chosen"),
    [
        (ANN, 1, None, BOB),
        (ANN, 2, None, CAT),
        (ANN, 3, None, DAN),
        (ANN, 4, None, None),
        (None, 1, None, ANN),
        (BOB, 1, None, ANN),  # bought now under a higher maximum
        (ANN, None, CAT, CAT),
        (ANN, None, ANN, None),
        (ANN, None, UUID(int=77), None),
        (ANN, None, None, None),
    ],
)
def test_who_gets_it(winner, nth, bidder, chosen):
    if chosen is None:
        with pytest.raises(SecondChanceUnavailable):
            choose_bidder(RANKING, winner, [], nth=nth, bidder_id=bidder)
    else:
        assert choose_bidder(RANKING, winner, [], nth=nth, bidder_id=bidder).bidder_id == chosen


@pytest.mark.parametrize("status", ["open", "accepted", "declined", "expired", "withdrawn"])
def test_a_bidder_has_one_offer_of_an_auction(status):
    with pytest.raises(SecondChanceUnavailable, match="has had"):
        choose_bidder(RANKING, ANN, [offer(1, BOB, status=status)], nth=1, bidder_id=None)


def test_an_offer_is_open_until_the_instant_it_expires():
    check_open(offer(1, BOB), 999)
    with pytest.raises(SecondChanceNotOpen, match="expired"):
        check_open(offer(1, BOB), 1_000)
    for status in ("accepted", "declined", "expired", "withdrawn"):
        with pytest.raises(SecondChanceNotOpen) as refused:
            check_open(offer(1, BOB, status=status), 0)
        assert refused.value.facts == {"offer_status": status}


def test_an_accept_ends_the_open_offers_of_the_same_piece_alone():
    mine, rival = offer(1, BOB), offer(2, CAT)
    others = [mine, rival, offer(3, DAN, piece="another"), offer(4, ANN, status="declined")]
    assert superseded(mine, others) == [rival.offer_id]
    assert superseded(offer(3, DAN, piece="another"), others) == []
