"""What docstrings say to clients: the words of commands and types, and of a handler its promise alone."""

import inspect
from typing import Any

from handlers.contract import Route

_FOR_DEVELOPERS = (" Raises ", " Raises: ", " Cost: ")
"""What begins the part of a promise's line that is for who changes the code."""


def flowing(doc: str) -> str:
    """Return a docstring without its indentation, a line for each paragraph."""
    paragraphs = inspect.cleandoc(doc).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def summary(command: type[Any]) -> str:
    """Return what a command does, in the words for who sends it; its name when it has none."""
    return (command.__doc__ or command.__name__).strip().splitlines()[0]


def promise(route: Route) -> str:
    """Return the first line of the route's handler; empty when it says no more than the command."""
    line = (route.function.__doc__ or "").strip().split("\n", 1)[0]
    for mark in _FOR_DEVELOPERS:
        line = line.split(mark, 1)[0]
    return "" if line == summary(route.command) else line


def budget(route: Route) -> str:
    """Return how much of the caller's budget a call takes; header RateLimit counts in the same unit."""
    return f"Takes {route.cost} of the caller's rate budget."
