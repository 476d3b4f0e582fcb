"""What `new-domain` and `new-command` write passes every check at once, and its tests fail until somebody decides."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli.verb import ROOT

COPIED = (
    "protocols",
    "handlers",
    "storage",
    "realtime",
    "server",
    "load",
    "tests",
    "pyproject.toml",
    "README.md",
)

CALLS = (
    ("new-domain", "parcels"),
    ("new-command", "parcels", "store_parcel"),
    ("new-command", "auctions", "freeze_auction"),
    ("new-command", "listings", "count_listings", "--query"),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grown")
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def written(copy) -> list[str]:
    """The files that were written or changed."""
    lines = [line for call in CALLS for line in run(copy, "-m", "server.cli", *call).stdout.splitlines()]
    return sorted({line for line in lines if (copy / line).is_file()})


def run(folder: Path, *words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    told = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == code, told.stdout + told.stderr
    return told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_generated_code_passes_the_checks(copy, written):
    tools = Path(sys.executable).parent
    for command in (
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["lint-imports", "--no-cache"],
        [
            "mypy",
            "--no-incremental",
            *(p for p in written if p.endswith(".py") and not p.startswith("tests")),
        ],
        ["codespell", *written],
    ):
        told = subprocess.run(
            [tools / command[0], *command[1:]], cwd=copy, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, f"{command}\n{told.stdout}{told.stderr}"
    run(copy, "-c", "from server.domains import DOMAINS; assert DOMAINS[-1].name == 'parcels'")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_generated_tests_fail_until_the_handler_is_written(copy, written, engines):
    urls = {
        "MNBARA_POSTGRES_URL": engines.postgres_url,
        "MNBARA_REDIS_URL": engines.redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
    }
    tests = [path for path in written if path.startswith("tests/")]
    assert len(tests) == len(CALLS)
    told = run(copy, "-m", "pytest", "-q", *tests, "tests/architecture/test_sql.py", code=1, **urls)
    assert f"{len(CALLS)} failed" in told.stdout
    assert told.stdout.count("NotImplementedError: ") >= len(CALLS)
    handler = copy / "handlers" / "parcels" / "store_parcel.py"
    decided = handler.read_text().replace(
        'raise NotImplementedError("parcels.store_parcel decides nothing yet")',
        "return Outcome(Parcel(id=command.parcel_id))",
    )
    handler.write_text(decided.replace("import StoreParcel", "import Parcel, StoreParcel"))
    promise = copy / "tests" / "integration" / "parcels" / "test_store_parcel.py"
    promised = promise.read_text().replace('answer == "say here what it answers"', 'set(answer) == {"id"}')
    promise.write_text(promised)
    run(copy, "-m", "pytest", "-q", "tests/integration/parcels/test_store_parcel.py", **urls)
