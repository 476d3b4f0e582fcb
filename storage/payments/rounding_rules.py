"""How amounts are divided: every operation has one way to round, and remainders go to the largest fractions. Pure.

Integers only: nothing here is ever a float.
"""

from collections.abc import Sequence
from typing import Literal

Rounding = Literal["half_even", "half_up", "down", "up"]

Operation = Literal["commission", "fee_tax", "fee_bound"]

BASIS_POINTS = 10_000
"""A percentage is an integer of hundredths of a percent."""

ROUNDINGS: dict[Operation, Rounding] = {
    "commission": "half_even",
    "fee_tax": "half_up",
    "fee_bound": "down",
}
"""How each operation rounds:

- `commission`: a percentage of a price. Half to the even neighbour, so that many halves favour neither side.
- `fee_tax`: tax on a fee. Half up, as invoices are.
- `fee_bound`: the most that a fee may be, so that it and its tax fit into the price. Down: it is a limit.
"""


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Return numerator / denominator as an integer; the numerator is not negative, the denominator is positive."""
    assert numerator >= 0, "amounts that are divided are not negative"
    assert denominator > 0, "something is divided by"
    whole, rest = divmod(numerator, denominator)
    match rounding:
        case "down":
            return whole
        case "up":
            return whole + (rest > 0)
        case "half_up":
            return whole + (2 * rest >= denominator)
        case "half_even":
            return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def percentage(amount_minor: int, basis_points: int, operation: Operation) -> int:
    """Return so many basis points of an amount, rounded as the operation rounds."""
    return divide(amount_minor * basis_points, BASIS_POINTS, ROUNDINGS[operation])


def allocate(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """Return the amount in parts that are proportional to weights, in their order.

    The parts add up to the amount, and none is a whole unit or more off its exact share. What is left after rounding
    down goes out unit by unit: to the largest fraction first, of equal fractions to the larger weight, of equal weights
    to the earlier. So the order of the weights decides only between equal ones. Cost: a sort of the weights.
    """
    assert amount_minor >= 0, "an amount is allocated"
    assert all(weight >= 0 for weight in weights), "a weight is not negative"
    total = sum(weights)
    assert total > 0, "somebody gets a part"
    shares = [divmod(amount_minor * weight, total) for weight in weights]
    parts = [whole for whole, _rest in shares]
    first = sorted(range(len(weights)), key=lambda place: (-shares[place][1], -weights[place], place))
    for place in first[: amount_minor - sum(parts)]:
        parts[place] += 1
    return parts
