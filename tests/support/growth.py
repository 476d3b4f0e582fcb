"""How the cost of a function grows with its input: CPU time of this thread, the least of several runs."""

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import thread_time_ns
from typing import Any

SMALL = 4_096
"""Characters of the smaller text: a step for every two of its characters takes tens of milliseconds."""

BELOW_MEASURE_NS = 400_000
"""What the larger input costs less than is not quadratic on any machine: that costs a hundred times as much."""

RATIO_MAX = 3.0
"""Twice the input costs twice the time when work is linear, four times when it is quadratic."""

LARGER = (1, 1, 2, 2, 4)
"""How many times the size each try takes: a measurement that was disturbed is made again, at last over longer work."""

UNITS = [
    *(
        "a",
        "A",
        "1",
        "0",
        " ",
        "\t",
        "\n",
        "\r\n",
        '"',
        "'",
        "\\",
        '\\"',
        "\\'",
        "''",
        "[",
        "]",
        "[]",
        "{",
        "{}",
    ),
    *(
        ",",
        ", ",
        ";",
        ";q=",
        ":",
        "a:",
        "a: b\r\n",
        ".",
        "a.",
        "1.",
        "-",
        "+",
        "=",
        "&",
        "&a=",
        "a=1&",
        "%",
        "%41",
    ),
    *(
        "@",
        "a@",
        "@a.",
        "a@a.",
        "/",
        "://",
        "://a:",
        "eyJ",
        "eyJaaaaaaaa.",
        "Bearer ",
        "W/",
        'W/"a" ',
        '"a",',
    ),
    *(
        "\\\\",
        "\\u0000",
        "\\\\u0000",
        '{"a":',
        '"a":1,',
        "<1>",
        "'a'|",
        "!",
        "(",
        "'a'&",
        "_",
        "token_",
        "`",
        "$.",
    ),
    *(
        " - at `$",
        "[...]",
        "[1",
        "\u0301",
        "e\u0301",
        "\ufdfa",
        "\u3042",
        "\u4e00\u4e00a",
        "\u00df",
        "\U0001f600",
    ),
]
"""What inputs repeat: what patterns and parsers look for, alone and half finished, and text that grows when folded."""

HEADS = ("", '"', "'", "[" * 40 + '"', '{"a":"', "eyJaaaaaaaaa", "://a:", "a" * 10 + "@")
TAILS = ("", "\x7f")
"""The second is what hardly anything takes: a pattern that came so far has to give up."""


def shapes(heads: tuple[str, ...] = HEADS) -> Iterator[tuple[str, Callable[[int], str]]]:
    """Name and make texts of about a length, of every unit between every head and tail."""
    for head in heads:
        for unit in UNITS:
            for tail in TAILS:
                yield f"{head!r} {unit!r} {tail!r}", _repeat(head, unit, tail)


def _repeat(head: str, unit: str, tail: str) -> Callable[[int], str]:
    return lambda size: head + unit * (size // len(unit)) + tail


def least_cost(function: Callable[[Any], object], given: Any, runs: int) -> int:
    """Return nanoseconds of CPU time; what the function raises is an answer like any other."""
    costs: list[int] = []
    gc.disable()
    try:
        for _ in range(runs):
            began = thread_time_ns()
            with suppress(Exception):
                function(given)
            costs.append(thread_time_ns() - began)
    finally:
        gc.enable()
    return min(costs)


def growth(function: Callable[[Any], object], make: Callable[[int], Any], size: int = SMALL) -> float:
    """Return how many times as much twice the input costs, 0 for next to nothing; the least of some tries."""
    if least_cost(function, make(2 * size), 1) < BELOW_MEASURE_NS:
        return 0.0
    ratios: list[float] = []
    for times in LARGER:
        small, large = make(times * size), make(2 * times * size)
        ratios.append(least_cost(function, large, 3) / max(least_cost(function, small, 3), 1))
        if ratios[-1] < RATIO_MAX:
            break
    return min(ratios)
