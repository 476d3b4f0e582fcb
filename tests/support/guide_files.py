"""The files that `docs/extending.md` shows: written to a folder, and imported as parts of our own packages."""

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from protocols.errors import CATALOGUE

GUIDE = Path(__file__).parents[2] / "docs" / "extending.md"
LAYERS = ("protocols", "storage", "handlers")
_SHOWN = re.compile(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown_files(guide: Path = GUIDE) -> dict[str, str]:
    """Return path -> content of every file that a guide shows. Raises ValueError for one that is shown twice."""
    found: dict[str, str] = {}
    for path, content in _SHOWN.findall(guide.read_text()):
        if path in found:
            raise ValueError(f"{guide} shows {path} twice")
        found[path] = content
    return found


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder, and an `__init__.py` where a domain's folder has none; tests need none."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for module in folder.rglob("*.py"):
        package = module.with_name("__init__.py")
        if not package.exists() and module.relative_to(folder).parts[0] in LAYERS:
            package.write_text('"""A part of the guide\'s domain."""\n')


@contextmanager
def imported_domain(folder: Path, domain: str) -> Iterator[ModuleType]:
    """Import `handlers.<domain>` and what it needs from a folder that is laid out as ours; forget it afterwards."""
    packages = [importlib.import_module(layer) for layer in LAYERS]
    known = set(CATALOGUE)
    for package in packages:
        package.__path__.append(str(folder / package.__name__))
    try:
        yield importlib.import_module(f"handlers.{domain}")
    finally:
        for package in packages:
            package.__path__.remove(str(folder / package.__name__))
            vars(package).pop(domain, None)
        ours = tuple(f"{layer}.{domain}" for layer in LAYERS)
        for name in [name for name in sys.modules if name.startswith(ours)]:
            del sys.modules[name]
        for code in set(CATALOGUE) - known:
            del CATALOGUE[code]
