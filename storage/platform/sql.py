"""Named SQL statements from `.sql` files.

A file is a run of statements, each headed `-- name --` and a comment sentence saying what it returns, which index it
uses and which locks it takes. `load(__file__, "auctions.sql").lock_auctions` is the text of one.
"""

import re
from pathlib import Path
from types import SimpleNamespace

_HEADER = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


def load(beside: str, name: str) -> SimpleNamespace:
    """Return the statements of `name`, in the folder of the module file `beside`, as attributes."""
    return SimpleNamespace(**read_statements(Path(beside).parent / name))


def read_statements(path: Path) -> dict[str, str]:
    """Return statement texts by name. Raises ValueError for text before the first header or a name used twice."""
    head, *parts = _HEADER.split(path.read_text(encoding="utf-8"))
    if head.strip():
        raise ValueError(f"{path}: text before the first `-- name --`")
    names, bodies = parts[::2], [body.strip() for body in parts[1::2]]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: a statement name is used twice")
    return dict(zip(names, bodies, strict=True))
