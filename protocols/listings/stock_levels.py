"""What a listing costs and how many pieces can be promised: the values that rules and storage share."""

from dataclasses import dataclass
from uuid import UUID

from protocols.listings.commands import ListingStatus
from protocols.listings.stock import Stock
from protocols.values import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLevel:
    """What a listing costs, how many pieces there are, and how many are promised. Every row that tells so is one."""

    listing_id: UUID
    seller_id: UUID
    status: ListingStatus
    version: int
    price_minor: int | None
    currency: str | None
    """None together with `price_minor`."""
    quantity: int
    """Pieces on hand."""
    reserved: int = 0
    """How many of them buyers hold; written with the stock alone."""
    auctioned: int = 0
    """How many of them auctions sell, until they are settled; written with the stock alone."""

    @property
    def saleable(self) -> int:
        """Return how many pieces can be promised to somebody now: the one place that says so."""
        return self.quantity - self.reserved - self.auctioned

    @property
    def price(self) -> Money | None:
        """Return what one piece costs."""
        if self.price_minor is None or self.currency is None:
            return None
        return Money(self.price_minor, self.currency)

    def to_view(self) -> Stock:
        """Return what watchers of the listing see."""
        return Stock(price=self.price, saleable=self.saleable, version=self.version, status=self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRow(StockLevel):
    """The stock of one listing, and how old the terms are that a buyer agrees to."""

    terms_version: int
