"""`where`: the files of a domain, in the order in which a command travels."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from server.cli.verb import ROOT, UsageError, Verb

LAYERS = ("protocols", "handlers", "storage")
"""Layers in which a domain has a folder of its own name, in the order in which a command travels."""

AROUND = ("storage/migrations", "tests", "load", "docs")
"""Where a folder or a file tells by its name that it belongs to a domain."""


def _where(chosen: Namespace) -> int:
    domain = chosen.domain
    known = sorted(path.parent.name for path in (ROOT / "handlers").glob("*/__init__.py"))
    if domain not in known:
        raise UsageError(f"there is no domain {domain!r}; domains: {', '.join(known)}")
    for path in _files_of(domain):
        print(path.relative_to(ROOT))
    return 0


def _files_of(domain: str) -> Iterator[Path]:
    for layer in LAYERS:
        yield from _files_below(ROOT / layer / domain)
    for place in AROUND:
        for path in _files_below(ROOT / place):
            parts = path.relative_to(ROOT / place).parts
            words = path.stem.split("_")
            if domain in parts or domain in words or domain.removesuffix("s") in words:
                yield path


def _files_below(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
    ]


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="a folder of handlers/")


WHERE = Verb(
    name="where",
    words="DOMAIN",
    meaning="list the files of a domain in the order in which a command travels",
    example="./mnbara where auctions",
    run=_where,
    declare=_declare,
)
