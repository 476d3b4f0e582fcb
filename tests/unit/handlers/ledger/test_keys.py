"""The key file of the log, and the setting that names other logs."""

import json
import stat

import pytest

from handlers.ledger.keys import FILE, LedgerKeys, find_vkey, read_witnessed
from handlers.ledger.notes import COSIGNATURE, SIGNATURE, Signer, read_vkey
from handlers.settings import Settings, SettingsError
from storage.platform.key_files import KeyFileError

URL = "https://market.example:8443/base/"


def test_keys_are_made_once_for_their_owner_alone_and_keep_their_names(tmp_path):
    assert find_vkey(tmp_path) is None
    first = LedgerKeys(tmp_path, URL)
    again = LedgerKeys(tmp_path, "https://elsewhere.example")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert first.origin == again.origin == "market.example:8443/base/v1/ledger"
    assert first.log.key.vkey == again.log.key.vkey == find_vkey(tmp_path)
    assert first.witness.key.name == "market.example:8443/base/v1/ledger/witness"
    kinds = [read_vkey(key.vkey).kind for key in (first.log.key, first.witness.key)]
    assert kinds == [SIGNATURE, COSIGNATURE]
    assert LedgerKeys(tmp_path / "other", URL).log.key.vkey != first.log.key.vkey


def test_a_url_that_no_key_may_be_named_after_is_bent(tmp_path):
    keys = LedgerKeys(tmp_path, "http://[::1]:8080/a+b c")
    assert keys.origin == "[::1]:8080/a-b-c/v1/ledger"


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"log": 1}',
        '{"log": {"name": "a b", "seed": ""}}',
        '{"log": {"name": "a", "seed": "!"}}',
        "[]",
        "no",
    ],
)
def test_a_file_that_holds_no_keys_is_told(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(KeyFileError, match="backup"):
        LedgerKeys(tmp_path, URL)


def test_a_short_seed_is_told(tmp_path):
    LedgerKeys(tmp_path, URL)
    content = json.loads((tmp_path / FILE).read_text())
    content["witness"]["seed"] = content["witness"]["seed"][:20]
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(KeyFileError, match="`witness`"):
        LedgerKeys(tmp_path, URL)


def test_other_logs_are_named_by_their_keys(tmp_path):
    logs = [Signer.of_seed(f"log{number}.example", SIGNATURE, bytes([number] * 32)).key for number in (1, 2)]
    settings = Settings(witnessed_logs=", ".join(key.vkey for key in logs))
    assert [key.vkey for key in read_witnessed(settings)] == [key.vkey for key in logs]
    keys = LedgerKeys(tmp_path, URL, read_witnessed(settings))
    assert set(keys.witnessed) == {"log1.example", "log2.example", keys.origin}
    assert read_witnessed(Settings()) == []


def test_nobody_replaces_the_key_of_our_own_log(tmp_path):
    origin = LedgerKeys(tmp_path, URL).origin
    forged = Signer.of_seed(origin, SIGNATURE, bytes(32)).key
    keys = LedgerKeys(tmp_path, URL, [forged])
    assert keys.witnessed[origin].vkey == keys.log.key.vkey


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "verifier key"),
        ("a+b+c", "base64"),
        (Signer.of_seed("w", COSIGNATURE, bytes(32)).key.vkey, "of a witness"),
    ],
)
def test_a_setting_that_names_no_log_stops_the_start(text, told):
    with pytest.raises(SettingsError, match=f"MNBARA_WITNESSED_LOGS: .*{told}"):
        read_witnessed(Settings(witnessed_logs=text))
