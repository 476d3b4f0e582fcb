"""The words of the domains auctions, listings and auth: one word for one thing."""

import ast
import dataclasses
import importlib
import re
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
DOMAINS = ("auctions", "listings", "auth")
LAYERS = ("handlers", "storage", "protocols")
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text()
    for layer in LAYERS
    for domain in DOMAINS
    for path in sorted((ROOT / layer / domain).rglob("*"))
    if path.suffix in {".py", ".sql", ".sqlt"}
}
PYTHON = [name for name in SOURCES if name.endswith(".py")]

REPLACEMENTS = {
    r"Lots?|lots?": "AuctionTerms for what never changes, LockedAuction for the locked row",
    r"Held|hold|hold_one|hold_offer|hold_with_\w+": "LockedAuction, lock_auction, lock_auctions",
    r"judge|judge_\w+|_judge": "apply_ for what changes a state, check_ for what only refuses",
    r"way": "bid_mechanism",
    r"bars|takes": "unsupported, supported_terms",
    r"Place|_Place|places": "UnitAllocation for units, _Cursor for a list, index for a position",
    r"tell_\w+|_tell_\w+": "notify_",
    r"_?show_\w+|shown": "to_ and the type that is made",
    r"told": "the name of the event that is made",
    r"\w*Book|book": "Batch",
    r"pieces": "quantity",
}
"""Identifiers that are not used in these folders, and what to write instead."""


def misnamed(source: str) -> dict[str, str]:
    """Return the identifiers of a file that have a better name, with that name."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
    return {
        name: better
        for name in names
        for banned, better in REPLACEMENTS.items()
        if re.fullmatch(banned, name)
    }


@pytest.mark.parametrize(
    "source",
    [
        "class Lot: ...",
        "held = await hold(db)",
        "row.judge(1)",
        "def f(places): ...",
        "def tell_losers(): ...",
        "from handlers.listings import show_listing",
        "async def hold_one(): ...",
    ],
)
def test_a_banned_identifier_is_found_wherever_it_is_bound_or_read(source):
    assert misnamed(source)


def test_a_word_that_only_contains_a_banned_one_is_let_through():
    assert misnamed("held_until = hold_for_auction(slots, always, threshold)") == {}


@pytest.mark.parametrize("name", PYTHON)
def test_identifiers_are_the_words_of_the_field(name):
    assert misnamed(SOURCES[name]) == {}


def declared(layer):
    """Return the classes with fields that the modules of a layer declare, but for arrays that JSON has."""
    for name in PYTHON:
        if not name.startswith(f"{layer}/"):
            continue
        module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
        for value in vars(module).values():
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            is_struct = issubclass(value, msgspec.Struct) and not value.__struct_config__.array_like
            if is_struct or dataclasses.is_dataclass(value):
                yield value


@pytest.mark.parametrize("layer", ["protocols", "storage"])
def test_what_travels_and_what_is_stored_is_built_by_keyword(layer):
    classes = list(declared(layer))
    assert len(classes) > 30
    assert [one.__qualname__ for one in classes if one.__match_args__] == []


def test_rows_are_read_by_name_and_not_by_string():
    """A handler sees what storage declares, so a renamed column is an error of types."""
    by_string = {
        name: len(found)
        for name in PYTHON
        if name.startswith("handlers/")
        and (found := re.findall(r"\b(?:row|rows\[\d\])\[\"\w+\"\]", SOURCES[name]))
    }
    assert by_string == {}
