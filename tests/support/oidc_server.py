"""A sign-in provider on loopback for tests: honest as OpenID Connect Core asks, or wrong in one way."""

import base64
import gzip
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "mnbara-web", "a secret of thirty-two characters"
REDIRECT_URI = "https://app.example/callback"

DRIPS = 40
"""Bytes of an answer that come one by one."""

ODD_KEYS: list[Any] = [
    "no key",
    {"kty": ["RSA"]},
    {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "one"},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "off the curve"},
    {"kty": "OKP", "crv": "of tomorrow", "x": "AA", "kid": "one"},
    {"kty": "RSA", "n": 5, "e": "AQAB", "kid": "one"},
    {"kty": "RSA", "n": "", "e": "AQAB", "kid": {}},
    {"kty": "RSA", "n": "AQAB", "e": "AQAB", "key_ops": 5},
]
"""Keys that a provider may publish beside its good ones: what a reader does not know it leaves out (RFC 7517, 5)."""


@dataclass
class Grant:
    """A code that somebody was given."""

    subject: str
    nonce: str
    challenge: str
    claims: dict[str, Any]


@dataclass
class OidcServer:
    """Codes are made by `authorize`, as a person's browser would have it."""

    url: str = ""
    key: RSAKey = field(
        default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
    )
    grants: dict[str, Grant] = field(default_factory=dict)
    fault: str = ""
    """What is wrong with it; empty: nothing."""
    calls: list[str] = field(default_factory=list)

    def authorize(self, subject: str, nonce: str, verifier: str, claims: dict[str, Any]) -> str:
        """Return a code for somebody."""
        code = secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        self.grants[code] = Grant(subject, nonce, challenge, claims)
        return code

    def id_token(self, subject: str, nonce: str, claims: dict[str, Any]) -> str:
        """Return an ID token about somebody; claims given replace the right ones."""
        now = int(time.time())
        about = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": subject,
            "nonce": nonce,
            "iat": now,
            "exp": now + 600,
        }
        key: Any = self.key
        header = {"alg": "RS256", "kid": "one"}
        if self.fault == "unsigned":
            parts = [json.dumps({"alg": "none"}), json.dumps({**about, **claims})]
            return (
                ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
                + "."
            )
        if self.fault == "shared secret":
            key, header = (
                OctKey.import_key(b"the public key as PEM, were it not refused"),
                {"alg": "HS256", "kid": "one"},
            )
        if self.fault == "stranger's key":
            key = RSAKey.generate_key(2048, {"kid": "one"})
        return jws.serialize_compact(header, json.dumps({**about, **claims}), key, ["RS256", "HS256"])

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        """Return what the provider answers."""
        self.calls.append(path)
        if self.fault == "down":
            return 503, b"{}"
        if path == "/.well-known/openid-configuration":
            issuer = "https://other.example" if self.fault == "mixed-up issuer" else self.url
            jwks = "http://keys.example/jwks" if self.fault == "unsafe address" else f"{self.url}/jwks"
            about = {"issuer": issuer, "token_endpoint": f"{self.url}/token", "jwks_uri": jwks}
            return 200, json.dumps(about).encode()
        if path == "/jwks":
            if self.fault == "huge answer":
                return 200, b'{"keys":[' + b'{"kty":"oct","k":"AAAA"},' * 20_000 + b"{}]}"
            if self.fault == "many keys":
                return 200, json.dumps({"keys": [self.key.as_dict(private=False)] * 1000}).encode()
            if self.fault == "no keys":
                return 200, b'{"keys":[{"kty":"oct","k":"AAAA"}]}'
            others = ODD_KEYS if self.fault == "odd keys" else []
            return 200, json.dumps({"keys": [*others, self.key.as_dict(private=False)]}).encode()
        return self._token(form)

    def _token(self, form: dict[str, str]) -> tuple[int, bytes]:
        grant = self.grants.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        right = (
            grant is not None
            and form.get("client_secret") == CLIENT_SECRET
            and form.get("redirect_uri") == REDIRECT_URI
            and challenge.rstrip(b"=").decode() == grant.challenge
        )
        if not right or grant is None:
            return 400, b'{"error":"invalid_grant"}'
        if self.fault == "no ID token":
            return 200, b'{"access_token":"x","token_type":"Bearer"}'
        token = self.id_token(grant.subject, grant.nonce, grant.claims)
        return 200, json.dumps({"access_token": "x", "token_type": "Bearer", "id_token": token}).encode()


VERIFIER = "v" * 43


@cache
def shared_oidc_server() -> OidcServer:
    """Return a provider that runs as long as the tests, `acme` in `oidc_environment`."""
    return start_oidc_server()[0]


def oidc_environment(folder: Path) -> dict[str, str]:
    """Return the setting by which a system takes the shared provider."""
    place = folder / "providers.toml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(
        f'[acme]\nissuer = "{shared_oidc_server().url}"\n'
        f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\n'
    )
    return {"MNBARA_OAUTH_PROVIDERS": str(place)}


def new_proof(subject: str) -> dict[str, str]:
    """Return what an app has of somebody who signed in at the shared provider a moment ago."""
    nonce = secrets.token_urlsafe(16)
    claims = {"email": f"{subject}@example.test", "email_verified": True, "name": "Amina"}
    code = shared_oidc_server().authorize(subject, nonce, VERIFIER, claims)
    return {
        "provider": "acme",
        "nonce": nonce,
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": REDIRECT_URI,
        "id_token": "",
    }


def start_oidc_server() -> tuple[OidcServer, ThreadingHTTPServer]:
    """Return a running provider and what `shutdown` ends."""
    made = OidcServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(*made.answer(self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            self._send(*made.answer(self.path, {name: values[0] for name, values in parse_qs(body).items()}))

        def _send(self, status: int, body: bytes) -> None:
            if made.fault == "redirect":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(status)
            if made.fault == "compressed":
                body = gzip.compress(body)
                self.send_header("Content-Encoding", "gzip")
            if made.fault == "slow drip":
                body = b" " * DRIPS + body
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for _ in range(DRIPS if made.fault == "slow drip" else 0):
                time.sleep(0.05)  # never so long that a limit for each piece would end it
                self.wfile.write(b" ")
                body = body[1:]
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return made, server
