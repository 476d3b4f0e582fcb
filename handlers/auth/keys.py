"""Signing keys: private JWKs in a folder of secrets, the first signs, all are accepted and published.

`signing_keys.json` holds Ed25519 keys for access tokens, `refresh_keys.json` symmetric ones for refresh tokens; both
are made at the first start. To rotate: add a new key at the end and restart the processes; once everybody who reads
the published keys has it, move it to the front and restart; remove the old one when its tokens have expired. A process
that meets an unknown `kid` reads the file again by itself, so the restarts may take their time.
Source: RFC 7517, 7638, 8037.
"""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from storage.platform.key_files import KeyFileError, load_or_create, read_keys

SIGNING_FILE = "signing_keys.json"
REFRESH_FILE = "refresh_keys.json"

LOOK_AGAIN_S = 1.0
"""The least time between two readings of the file, however many tokens with unknown keys come in."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One Ed25519 key; `kid` is its RFC 7638 thumbprint."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey
    public_jwk: dict[str, str]


class KeyRing:
    """The keys of access tokens, as the file has them."""

    def __init__(self, folder: Path) -> None:
        """Read the file, or make it with one new key. Raises KeyFileError."""
        self._path = folder / SIGNING_FILE
        self._keys = _parse_signing_keys(self._path, load_or_create(self._path, _new_signing_keys))
        self._looked_at = time.monotonic()

    @property
    def signer(self) -> SigningKey:
        """The key that signs."""
        return next(iter(self._keys.values()))

    def find(self, kid: str) -> SigningKey | None:
        """Return the accepted key of this name; another process may just have brought it."""
        known = self._keys.get(kid)
        if known is None and time.monotonic() - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = time.monotonic()
            try:
                self._keys = _parse_signing_keys(self._path, read_keys(self._path))
            except (KeyFileError, OSError) as error:  # somebody is editing it: go on with the keys we have
                _log.warning("signing_keys_unreadable", error=str(error))
            known = self._keys.get(kid)
        return known

    def jwks(self) -> dict[str, Any]:
        """Return the public keys: the document at `/.well-known/jwks.json`."""
        return {"keys": [key.public_jwk for key in self._keys.values()]}


def load_refresh_keys(folder: Path) -> list[bytes]:
    """Return the keys of refresh tokens, the signing one first; the file is made when missing. Raises KeyFileError."""
    path = folder / REFRESH_FILE
    try:
        keys = [decode(jwk["k"]) for jwk in load_or_create(path, _new_refresh_keys)["keys"]]
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileError(f"{path} must hold a list `keys` of octet JWKs") from error
    if not keys or min(map(len, keys)) < 32:
        raise KeyFileError(f"{path} must hold at least one key, of 32 bytes or more")
    return keys


def encode(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    """Return the bytes of base64url without padding. Raises ValueError unless it is their one spelling."""
    raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("not base64url without padding")
    return raw


def thumbprint(public_jwk: dict[str, str]) -> str:
    """Return the RFC 7638 thumbprint of an OKP key: required members only, in lexical order, without spaces."""
    required = {name: public_jwk[name] for name in ("crv", "kty", "x")}
    return encode(
        hashlib.sha256(json.dumps(required, separators=(",", ":"), sort_keys=True).encode()).digest()
    )


def _new_signing_keys() -> dict[str, Any]:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": encode(public), "d": encode(private.private_bytes_raw())}
        ]
    }


def _new_refresh_keys() -> dict[str, Any]:
    return {"keys": [{"kty": "oct", "k": encode(secrets.token_bytes(32))}]}


def _parse_signing_keys(path: Path, content: dict[str, Any]) -> dict[str, SigningKey]:
    try:
        keys = [_signing_key(jwk) for jwk in content["keys"]]
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileError(f"{path} must hold a list `keys` of private Ed25519 JWKs") from error
    if not keys:
        raise KeyFileError(f"{path} must hold at least one key")
    return {key.kid: key for key in keys}


def _signing_key(jwk: dict[str, str]) -> SigningKey:
    if jwk["kty"] != "OKP" or jwk["crv"] != "Ed25519":
        raise ValueError("not an Ed25519 key")
    private = Ed25519PrivateKey.from_private_bytes(decode(jwk["d"]))
    public = private.public_key()
    bare = {"kty": "OKP", "crv": "Ed25519", "x": encode(public.public_bytes_raw())}
    kid = thumbprint(bare)
    return SigningKey(kid, private, public, {**bare, "kid": kid, "use": "sig", "alg": "EdDSA"})
