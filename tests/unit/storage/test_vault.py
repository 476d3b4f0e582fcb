"""The vault: only the right key and context open a text; keys are made once and can be rotated."""

import base64
import json

import pytest

from storage.platform.key_files import KeyFileError
from storage.platform.vault import VAULT_FILE, Vault, VaultError


def test_a_text_opens_with_the_same_file_and_context_alone(tmp_path):
    one, again, other = Vault(tmp_path / "a"), Vault(tmp_path / "a"), Vault(tmp_path / "b")
    closed = one.encrypt(b"secret", b"here")
    assert b"secret" not in closed
    assert closed != one.encrypt(b"secret", b"here")
    assert again.decrypt(closed, b"here") == b"secret"
    for vault, text, context in [
        (one, closed, b"there"),
        (other, closed, b"here"),
        (one, closed[:-1] + bytes([closed[-1] ^ 1]), b"here"),
        (one, closed[:6], b"here"),
        (one, b"", b"here"),
    ]:
        with pytest.raises(VaultError):
            vault.decrypt(text, context)


def test_a_new_key_in_front_encrypts_and_the_old_ones_still_decrypt(tmp_path):
    old = Vault(tmp_path)
    closed = old.encrypt(b"x", b"")
    path = tmp_path / VAULT_FILE
    assert path.stat().st_mode & 0o077 == 0
    keys = json.loads(path.read_text())["keys"]
    path.write_text(json.dumps({"keys": [base64.b64encode(bytes(range(32))).decode(), *keys]}))
    rotated = Vault(tmp_path)
    assert rotated.decrypt(closed, b"") == b"x"
    assert rotated.fingerprint_key == old.fingerprint_key
    with pytest.raises(VaultError):
        old.decrypt(rotated.encrypt(b"x", b""), b"")


@pytest.mark.parametrize("content", ["[]", "{", '{"keys": []}', '{"keys": ["AAAA"]}', '{"keys": [1]}', "{}"])
def test_a_file_that_is_no_key_file_stops_the_start(tmp_path, content):
    (tmp_path / VAULT_FILE).write_text(content)
    with pytest.raises(KeyFileError):
        Vault(tmp_path)
