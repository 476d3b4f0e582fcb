"""What is kept of auctions in memory stays bounded, and masks mean the same after it was dropped."""

from uuid import UUID

from handlers.auctions import locking
from handlers.auctions.locking import AuctionTerms, mask_bidder
from handlers.auctions.rules import SaleTerms, default_steps
from protocols.currencies import EXPONENTS

SALE = SaleTerms(UUID(int=9), 1, None, None, 0, 1, default_steps(2), None)


def auction_terms(number: int, salt: bytes = b"s" * 16) -> AuctionTerms:
    return AuctionTerms(UUID(int=number), UUID(int=number), "EUR", salt, SALE, "A thing")


def test_masks_are_bounded_over_all_auctions_and_stay_the_same(monkeypatch):
    kept = {UUID(int=n): auction_terms(n) for n in range(3)}
    monkeypatch.setattr(locking, "_terms", kept)
    monkeypatch.setattr(locking, "_masks_made", 0)
    monkeypatch.setattr(locking, "MASKS_MAX", 10)
    masks = [one.mask(UUID(int=user)) for one in kept.values() for user in range(100)]
    assert sum(len(one._masks) for one in kept.values()) <= 10
    assert masks == [one.mask(UUID(int=user)) for one in kept.values() for user in range(100)]


def test_a_mask_depends_on_the_salt_and_the_user():
    ann, bob = UUID(int=1), UUID(int=2)
    one, two = auction_terms(1), auction_terms(2, b"t" * 16)
    assert len({one.mask(ann), one.mask(bob), two.mask(ann), two.mask(bob)}) == 4
    assert one.mask(ann) == mask_bidder(b"s" * 16, ann)
    assert one.mask(ann).startswith("bidder_")
    assert ann.hex not in one.mask(ann)


def test_currencies_know_their_minor_unit():
    assert [EXPONENTS[code] for code in ("EUR", "JPY", "KWD")] == [2, 0, 3]
    assert all(len(code) == 3 and code.isupper() for code in EXPONENTS)
    assert len(EXPONENTS) > 150
    assert "XXX" not in EXPONENTS
