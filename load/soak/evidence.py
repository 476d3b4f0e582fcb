"""What everybody saw and what was promised, compared: the one judge of a soak.

Followers judge order, gaps and repeats themselves. Here the content is compared: an event of one number is the same for
everybody, an acknowledged bid is the event it was said to be, and there are no bids that nobody acknowledged.
"""

from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from load.client import Publication
from load.market import Receipt


class _Event(Struct):
    type: str
    bid_id: str = ""


_read_event = msgspec.json.Decoder(_Event).decode


@dataclass(slots=True)
class Evidence:
    """Events by channel and number, acknowledgements by auction."""

    violations: list[str] = field(default_factory=list)
    taken: int = 0
    """Events given to anybody."""
    _digests: dict[tuple[str, int], int] = field(default_factory=dict)
    _bids: dict[tuple[str, int], str] = field(default_factory=dict)
    """Ids of bids by channel and number of their event."""
    _acked: dict[tuple[str, int], str] = field(default_factory=dict)

    @property
    def acked(self) -> int:
        """How many bids were acknowledged."""
        return len(self._acked)

    def note_event(self, channel: str, publication: Publication) -> None:
        """Somebody was given an event."""
        self.taken += 1
        where, data = (channel, publication.offset), bytes(publication.data)
        digest = hash(data)
        known = self._digests.setdefault(where, digest)
        if known != digest:
            self.violations.append(f"{channel}: event {publication.offset} is not the same for everybody")
        elif where not in self._bids:
            event = _read_event(data)
            self._bids[where] = event.bid_id if event.type == "bid_placed" else ""

    def note_receipt(self, channel: str, receipt: Receipt) -> None:
        """A bid was acknowledged."""
        where = (channel, receipt.offset)
        known = self._acked.setdefault(where, receipt.bid_id)
        if known != receipt.bid_id:
            self.violations.append(f"{channel}: event {receipt.offset} was promised to two bids")

    def compare(self, channel: str, bid_count: int) -> None:
        """Judge a channel that has come to rest: the auction counts `bid_count` bids."""
        placed = {n: bid for (c, n), bid in self._bids.items() if c == channel and bid}
        acked = {n: bid for (c, n), bid in self._acked.items() if c == channel}
        for number, bid in acked.items():
            if placed.get(number) != bid:
                self.violations.append(f"{channel}: the acknowledged bid {bid} is not event {number}")
        unknown = set(placed.values()) - set(acked.values())
        if unknown:
            self.violations.append(f"{channel}: {len(unknown)} bids were placed and never acknowledged")
        if len(set(placed.values())) != len(placed):
            self.violations.append(f"{channel}: a bid was placed twice")
        if len(placed) != bid_count:
            self.violations.append(f"{channel}: {len(placed)} bids were seen, the auction counts {bid_count}")
