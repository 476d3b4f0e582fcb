"""The import contracts of pyproject.toml hold, and they do catch what they forbid."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("protocols", "realtime", "handlers", "storage", "server", "load")


def lint_imports(folder):
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_import_contracts_are_kept():
    told = lint_imports(ROOT)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.fixture
def copy(tmp_path):
    for layer in LAYERS:
        shutil.copytree(ROOT / layer, tmp_path / layer, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("realtime/planted.py", "import storage.platform.sql"),
        ("realtime/planted.py", "import handlers.contract"),
        ("handlers/auctions/planted.py", "import handlers.listings.planted"),
        ("handlers/carpets/planted.py", "import handlers.contract"),
        ("handlers/auctions/planted.py", "import asyncpg"),
        ("handlers/auctions/planted.py", "import litestar"),
        ("storage/planted.py", "import handlers.contract"),
        ("protocols/planted.py", "import storage.platform.sql"),
        ("load/planted.py", "import storage.platform.sql"),
        ("handlers/auctions/planted.py", "import server.domains"),
    ],
)
def test_planted_forbidden_import_is_caught(copy, path, line):
    for folder in ("auctions", "listings", "carpets"):
        if folder in path or folder in line:
            (copy / "handlers" / folder).mkdir(exist_ok=True)
            (copy / "handlers" / folder / "__init__.py").touch()
            (copy / "handlers" / folder / "planted.py").touch()
    (copy / path).write_text(f"{line}\n")
    told = lint_imports(copy)
    assert told.returncode == 1, told.stdout + told.stderr
    assert "BROKEN" in told.stdout or "carpets" in told.stdout + told.stderr
