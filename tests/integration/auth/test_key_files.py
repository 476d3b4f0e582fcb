"""Secret files when many processes start at once, and when a file is broken."""

import json
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handlers.auth.keys import REFRESH_FILE, SIGNING_FILE, KeyRing, load_refresh_keys
from storage.platform.key_files import KeyFileError

ROOT = Path(__file__).parents[3]
START = """
import sys, time
from pathlib import Path
from handlers.auth.keys import KeyRing, load_refresh_keys
folder, at = Path(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0, at - time.time()))
print(KeyRing(folder).signer.kid, load_refresh_keys(folder)[0].hex())
"""


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    for attempt in range(2):
        folder = tmp_path / str(attempt) / "secrets"
        at = str(time.time() + 1.5)
        started = [
            subprocess.Popen([sys.executable, "-c", START, str(folder), at], cwd=ROOT, stdout=subprocess.PIPE)
            for _ in range(4)
        ]
        printed = {child.communicate(timeout=30)[0] for child in started}
        assert all(child.returncode == 0 for child in started)
        assert len(printed) == 1
        assert {path.name for path in folder.iterdir()} == {SIGNING_FILE, REFRESH_FILE}, "no drafts are left"


def test_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "secrets"
    KeyRing(folder)
    load_refresh_keys(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_keys_are_the_same_after_a_restart(tmp_path: Path) -> None:
    assert KeyRing(tmp_path).signer.kid == KeyRing(tmp_path).signer.kid
    assert load_refresh_keys(tmp_path) == load_refresh_keys(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": 7}',
        '{"keys": [7]}',
        '{"keys": [{"kty": "OKP"}]}',
        '{"keys": [{"kty": "EC", "crv": "P-256", "d": "AAAA"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "d": "AAAA"}]}',
        '{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}',
        "\udcff",
    ],
)
def test_broken_key_file_stops_the_start_with_a_sentence_and_stays(tmp_path: Path, content: str) -> None:
    raw = content.encode(errors="surrogateescape")
    for name, read in ((SIGNING_FILE, KeyRing), (REFRESH_FILE, load_refresh_keys)):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(KeyFileError, match=name):
            read(tmp_path)
        assert (tmp_path / name).read_bytes() == raw


def test_unreachable_folder_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="file"):
        KeyRing(tmp_path / "file" / "secrets")


def test_foreign_public_part_in_the_file_is_not_trusted(tmp_path: Path) -> None:
    """The name and the published key come from the private part, whatever stands beside it."""
    kid = KeyRing(tmp_path).signer.kid
    content = json.loads((tmp_path / SIGNING_FILE).read_text())
    content["keys"][0]["x"] = "A" * 43
    (tmp_path / SIGNING_FILE).write_text(json.dumps(content))
    assert KeyRing(tmp_path).signer.kid == kid
