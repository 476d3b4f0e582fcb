"""Recorded bid histories of eBay: 90 auctions of Cartier watches (7 days) and 19 of Xbox consoles (3 days).

Source of `ebay_bids.csv`: the data that accompany W. Jank and G. Shmueli, "Modeling Online Auctions" (Wiley, 2010), in
US dollars. A row is a bid, in the order of time; no two of an auction share an instant. `bid` is the bidder's maximum,
as eBay shows it after the end; of the winner's it shows only what was paid, so the winner's last bids are cut to the
final price. Bidders are letters here, anew in each auction.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

FILE = Path(__file__).with_name("ebay_bids.csv")


@dataclass
class History:
    """One auction as recorded, in cents."""

    auction: str
    opening: int
    price: int
    bids: list[tuple[str, int]] = field(default_factory=list)

    @property
    def winner(self) -> str:
        """Who bid what was paid, first."""
        return next(bidder for bidder, amount in self.bids if amount == self.price)


def cents(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(f"{part:0<2}")


def read_histories() -> Iterator[History]:
    with FILE.open() as file:
        for auction, rows in groupby(csv.DictReader(file), lambda row: row["auction"]):
            bids = list(rows)
            yield History(
                auction,
                cents(bids[0]["opening"]),
                cents(bids[0]["price"]),
                [(row["bidder"], cents(row["bid"])) for row in bids],
            )
