"""Which tests `./mnbara test` runs: the first tier, the second with `--slow`, or what its arguments name."""

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_TAKES_JS = re.compile(r"tests/js|js_client|guide_programs|\"js\" /")
"""How a test names the folder in which npm installs, or a module of tests/support that does."""

_WHOLE_FILES = ("--dist", "loadfile", "--no-loadscope-reorder")
"""Each worker has engines of its own. A file stays with one of them; the long ones, of acceptance, come first."""

_FIRST_WORKERS = ("-n", "3", *_WHOLE_FILES)
"""Its tests wait a third of their time for states: three fill two cores."""

_SLOW_WORKERS = ("-n", "2", *_WHOLE_FILES)
"""Its systems and programs fill the cores by themselves."""


def pytest_arguments(words: Sequence[str]) -> list[str]:
    """Return the arguments for pytest.

    A whole tier runs on several workers. Files, `-k` and `-m` choose for themselves, in one process and in any tier; a
    folder is named like a file, but runs on several workers.
    """
    words = list(words)
    if "--slow" in words:
        words.remove("--slow")
        return [*_SLOW_WORKERS, "-m", "slow", *words]
    paths = _paths(words)
    if any(path.is_file() for path in paths) or any(word[:2] in {"-k", "-m"} for word in words):
        return words
    return [*_FIRST_WORKERS, *([] if paths else ["-m", "not slow"]), *words]


def needs_sdk(words: Sequence[str]) -> bool:
    """Return whether tests of the JavaScript SDK may run: nothing is named, or files or folders that have some."""
    paths = _paths(words)
    return not paths or any(map(_has_js, paths))


def _paths(words: Sequence[str]) -> list[Path]:
    return [path for word in words if (path := ROOT / word.partition("::")[0]).exists() and word[:1] != "-"]


def _has_js(path: Path) -> bool:
    """Return whether a test below a path says that it takes what npm fetches."""
    if path.is_dir() and (ROOT / "tests" / "js").is_relative_to(path):
        return True
    files = path.rglob("*.py") if path.is_dir() else [path]
    return any(_TAKES_JS.search(file.read_text(encoding="utf-8")) for file in files)
