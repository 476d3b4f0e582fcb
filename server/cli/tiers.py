"""Which tests `./mnbara test` runs: the first tier, the second with `--slow`, or what its arguments name."""

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_TWO_WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""Each worker has engines of its own. A file stays with one of them; the long ones, of acceptance, come first."""


def pytest_arguments(words: Sequence[str]) -> list[str]:
    """Return the arguments for pytest.

    A whole tier runs on two workers. Files, `-k` and `-m` choose for themselves, in one process and in any tier; a
    folder is named like a file, but runs on two workers.
    """
    words = list(words)
    if "--slow" in words:
        words.remove("--slow")
        return [*_TWO_WORKERS, "-m", "slow", *words]
    paths = [path for word in words if (path := ROOT / word.partition("::")[0]).exists() and word[0] != "-"]
    if any(path.is_file() for path in paths) or any(word[:2] in {"-k", "-m"} for word in words):
        return words
    return [*_TWO_WORKERS, *([] if paths else ["-m", "not slow"]), *words]
