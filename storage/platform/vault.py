"""The vault: what must not be readable in the database is encrypted with a master key that is not in it.

`vault_keys.json` in the folder of secrets holds the master keys; it is made at the first start. The first key encrypts,
all decrypt: to rotate, put a new key in front and restart every process. Source: NIST SP 800-38D (AES-256-GCM).
"""

import base64
import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.platform.key_files import KeyFileError, load_or_create

VAULT_FILE = "vault_keys.json"
KEY_BYTES = 32
NONCE_BYTES = 12
NAME_BYTES = 4
"""The first bytes of a key's hash: which key a text was encrypted with."""


class VaultError(Exception):
    """A text does not decrypt: changed, of another context, or its key is not in the file any more."""


class Vault:
    """The master keys of one installation."""

    def __init__(self, folder: Path) -> None:
        """Read the keys, making one at the very first start. Raises KeyFileError."""
        keys = _read_keys(folder / VAULT_FILE)
        self._keys = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0])
        self.fingerprint_key = hashlib.blake2b(b"fingerprint", key=keys[-1], digest_size=32).digest()
        """Of the oldest key, so that a new one in front does not change it."""

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        """Return a text that only `decrypt` with the same context reads: key name, nonce, ciphertext, tag."""
        return self._first + encrypt(self._keys[self._first], plain, self._first + context)

    def decrypt(self, closed: bytes, context: bytes) -> bytes:
        """Return what was encrypted. Raises VaultError."""
        name = closed[:NAME_BYTES]
        key = self._keys.get(name)
        if key is None:
            raise VaultError("the key of this text is not in the file of vault keys")
        return decrypt(key, closed[NAME_BYTES:], name + context)


def encrypt(key: AESGCM, plain: bytes, context: bytes) -> bytes:
    """Return nonce, ciphertext and tag; the context is not in it, but has to be given again."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, context)


def decrypt(key: AESGCM, closed: bytes, context: bytes) -> bytes:
    """Return what was encrypted with this key and context. Raises VaultError."""
    try:
        return key.decrypt(closed[:NONCE_BYTES], closed[NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise VaultError("the text was changed, or belongs elsewhere") from error


def _read_keys(path: Path) -> list[bytes]:
    try:
        keys = [base64.b64decode(text, validate=True) for text in load_or_create(path, _new_keys)["keys"]]
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileError(f"{path} must hold a list `keys` of base64 texts") from error
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise KeyFileError(f"{path} must hold at least one key, each of {KEY_BYTES} bytes")
    return keys


def _new_keys() -> dict[str, Any]:
    return {"keys": [base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()]}


def _name(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:NAME_BYTES]
