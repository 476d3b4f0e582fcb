"""`where`: the files of a domain, layer by layer."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from server.cli.verb import ROOT, UsageError, Verb

LAYERS = ("protocols", "handlers", "storage", "realtime", "server", "load", "tests", "web", "docs")
"""In the order in which a command travels."""


def _where(chosen: Namespace) -> int:
    domain = chosen.domain
    files = [path for layer in LAYERS for path in _files_of(domain, ROOT / layer)]
    if not files:
        known = sorted(p.name for p in (ROOT / "handlers").iterdir() if p.is_dir() and p.name[0] != "_")
        raise UsageError(f"no file belongs to {domain!r}; domains: {', '.join(known) or 'none yet'}")
    for path in files:
        print(path.relative_to(ROOT))
    return 0


def _files_of(domain: str, layer: Path) -> list[Path]:
    """Return the files below a layer with the domain as a folder's name or a word of their own name."""
    found = []
    for path in sorted(layer.rglob("*")):
        parts = path.relative_to(ROOT).parts
        words = path.stem.split("_")
        ours = domain in parts or domain in words or domain.removesuffix("s") in words
        if ours and path.is_file() and "__pycache__" not in parts and "node_modules" not in parts:
            found.append(path)
    return found


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="a folder of handlers/, or a word of files' names")


WHERE = Verb(
    name="where",
    words="DOMAIN",
    meaning="list the files of a domain in every layer",
    example="./mnbara where auctions",
    run=_where,
    declare=_declare,
)
