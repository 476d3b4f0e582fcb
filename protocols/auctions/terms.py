"""The terms of an auction: types that its commands, replies and events share."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from protocols.values import AMOUNT_MAX, AmountMinor

Format = Literal["english", "reverse", "dutch", "sealed_first_price", "sealed_second_price"]
Status = Literal["scheduled", "live", "sold", "unsold", "cancelled"]
Quantity = Annotated[int, Meta(ge=1, le=100)]
"""Units of one lot."""
NextBid = Annotated[
    int,
    Meta(
        ge=0,
        le=AMOUNT_MAX,
        description="The bid a new bidder has to reach: the least to offer, in a reverse auction the most to ask for.",
    ),
]


class SoftClose(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bid in the last `window_s` moves the end to `extend_s` from now, at most `max_extensions` times."""

    window_s: Annotated[int, Meta(ge=30, le=1800)] = 120
    extend_s: Annotated[int, Meta(ge=1, le=1800)] = 120
    max_extensions: Annotated[int, Meta(ge=1, le=1000)] = 10


class DutchTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a Dutch auction's price falls: by `step` every `tick_s` from the start, never below `floor_price`."""

    floor_price: AmountMinor
    step: AmountMinor
    tick_s: Annotated[int, Meta(ge=1, le=86_400)]


IncrementRow = tuple[AmountMinor | None, AmountMinor]
"""`[limit, step]`: below this price the least raise is `step`; a null limit means "above all others"."""
