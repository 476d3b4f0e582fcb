"""Access tokens for a measured system's users, signed with its own key: signing in ten thousand would take ten minutes.

They are what a login hands out, claim for claim, and the server has seen none of them before. Users and sessions behind
them do not exist, which sockets that only connect and follow never notice.
"""

import base64
import hashlib
import json
import secrets
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LIFE_S = 3600


def mint_tokens(home: Path, issuer: str, count: int) -> list[str]:
    """Return access tokens of that many different users."""
    jwk = json.loads((home / "secrets" / "signing_keys.json").read_text())["keys"][0]
    private = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(jwk["d"] + "=="))
    headers = {"kid": _thumbprint(jwk), "typ": "at+jwt"}
    now_s = int(time.time())
    common = {"iss": issuer, "aud": "mnbara", "roles": [], "ver": 0, "iat": now_s, "exp": now_s + LIFE_S}
    return [
        jwt.encode(
            common | {"sub": str(uuid.uuid4()), "sid": str(uuid.uuid4()), "jti": secrets.token_urlsafe(12)},
            private,
            algorithm="EdDSA",
            headers=headers,
        )
        for _ in range(count)
    ]


def _thumbprint(jwk: dict[str, str]) -> str:
    """Return the RFC 7638 thumbprint, which is the key's `kid`."""
    required = json.dumps(
        {name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True
    )
    digest = hashlib.sha256(required.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
