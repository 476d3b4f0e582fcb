"""An OpenID Connect provider: what it says of itself, its keys, the exchange of a code, the check of an ID token.

Everything a provider answers is a stranger's: bounded in size and time, redirects are not followed, addresses are https
or of this machine. Source: OpenID Connect Core 1.0 (3.1.3), Discovery 1.0, RFC 7636 (PKCE), RFC 9700.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from protocols.errors import TemporarilyUnavailable

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures that are taken. Never `none`, never a shared secret."""

TIMEOUT_S = 8.0
ANSWER_BYTES_MAX = 262_144
TOKEN_BYTES_MAX = 16_384
KEYS_MAX = 64
KEPT_S = 3_600.0
"""How long what a provider says of itself, and its keys, are taken as they were."""
REFETCH_S = 30.0
"""Keys are fetched again for a token that names an unknown one, at most this often."""
LEEWAY_S = 60
"""How far the clocks may be apart."""


class OidcRefusedError(Exception):
    """The provider does not take the code, or its ID token does not hold; the message says why, without secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """A provider as the operator set it up, or as one of the well-known ones is."""

    name: str
    issuer: str
    client_id: str
    audiences: tuple[str, ...]
    """Client ids whose ID tokens are taken: apps of one market have one each."""
    client_secret: Callable[[], str]
    token_endpoint: str = ""
    """Where its own description does not name the right one."""


class OidcClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What an ID token that holds says of a person."""

    issuer: str
    subject: str
    email: str
    email_verified: bool
    name: str
    expires_at_s: int


class OidcClient:
    """Talks to one provider."""

    def __init__(self, provider: OidcProvider, http: httpx.AsyncClient) -> None:
        """Speak through a client that somebody else closes."""
        self.provider = provider
        self._http = http
        self._about: Mapping[str, Any] = {}
        self._about_until = 0.0
        self._keys: KeySet | None = None
        self._keys_until = self._keys_again_at = 0.0

    async def exchange(self, code: str, code_verifier: str, redirect_uri: str) -> str:
        """Return the ID token that a code stands for. Raises OidcRefusedError, TemporarilyUnavailable."""
        provider = self.provider
        url = provider.token_endpoint or str((await self._describe())["token_endpoint"])
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": code_verifier,
            "redirect_uri": redirect_uri,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret(),
        }
        answer = await self._fetch("POST", url, form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OidcRefusedError("the provider answered without an ID token")
        return token

    async def verify(self, token: str, nonce: str) -> OidcClaims:
        """Check signature, issuer, audience, time and nonce. Raises OidcRefusedError, TemporarilyUnavailable."""
        if len(token) > TOKEN_BYTES_MAX or not token.isascii():
            raise OidcRefusedError("this is no ID token")
        claims = await self._decode(token)
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.provider.issuer},
            sub={"essential": True},
            aud={"essential": True, "values": list(self.provider.audiences)},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise OidcRefusedError(f"the ID token does not hold: {error.error}") from error
        except (TypeError, ValueError) as error:
            raise OidcRefusedError("the ID token does not hold") from error
        return _read_claims(claims, self.provider)

    async def _decode(self, token: str) -> dict[str, Any]:
        """Return what a token says if one of the provider's keys signed it. Raises OidcRefusedError."""
        keys = await self._read_keys()
        for keys_are_new in (False, True):
            try:
                return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, TypeError, ValueError, RecursionError) as error:
                if keys_are_new or time.monotonic() < self._keys_again_at:
                    raise OidcRefusedError("no key of the provider signed this token") from error
            keys = await self._read_keys(again=True)
        raise AssertionError("the second attempt answers or raises")

    async def _describe(self) -> Mapping[str, Any]:
        if time.monotonic() >= self._about_until:
            about = await self._fetch(
                "GET", self.provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
            )
            if about.get("issuer") != self.provider.issuer:
                raise TemporarilyUnavailable("The provider says that it is somebody else")
            _check_addresses(about, self.provider)
            self._about, self._about_until = about, time.monotonic() + KEPT_S
        return self._about

    async def _read_keys(self, *, again: bool = False) -> KeySet:
        if self._keys is None or again or time.monotonic() >= self._keys_until:
            answer = await self._fetch("GET", str((await self._describe())["jwks_uri"]))
            listed = answer.get("keys")
            if not isinstance(listed, list) or not 0 < len(listed) <= KEYS_MAX:
                raise TemporarilyUnavailable("The provider has no keys, or too many")
            try:
                signing = [
                    key for key in listed if isinstance(key, dict) and key.get("kty") in {"RSA", "EC", "OKP"}
                ]
                self._keys = KeySet.import_key_set({"keys": signing})
            except (JoseError, KeyError, TypeError, ValueError) as error:
                raise TemporarilyUnavailable("The provider's keys cannot be read") from error
            now = time.monotonic()
            self._keys_until, self._keys_again_at = now + KEPT_S, now + REFETCH_S
        return self._keys

    async def _fetch(self, method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the object that a provider answers. Raises OidcRefusedError for a 4xx, else TemporarilyUnavailable."""
        try:
            async with self._http.stream(
                method, url, data=form, headers={"Accept": "application/json"}
            ) as answer:
                body = bytearray()
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise TemporarilyUnavailable("The provider's answer is too long")
        except httpx.HTTPError as error:
            raise TemporarilyUnavailable("The provider cannot be reached; try again in a minute") from error
        if form is not None and 400 <= answer.status_code < 500:
            raise OidcRefusedError("the provider does not take this code")
        if answer.status_code != httpx.codes.OK:
            raise TemporarilyUnavailable("The provider does not work; try again in a minute")
        try:
            found = msgspec.json.decode(bytes(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TemporarilyUnavailable("The provider's answer is no JSON") from error
        if not isinstance(found, dict):
            raise TemporarilyUnavailable("The provider's answer is no object")
        return found


def is_safe_address(url: str) -> bool:
    """Whether a provider's address is encrypted, or of this machine."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (
            parts.scheme == "https"
            or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"})
        )
    except ValueError:
        return False


def _check_addresses(about: Mapping[str, Any], provider: OidcProvider) -> None:
    """Raise TemporarilyUnavailable unless the addresses that are used are safe."""
    for name in ("jwks_uri",) if provider.token_endpoint else ("jwks_uri", "token_endpoint"):
        url = about.get(name)
        if not isinstance(url, str) or not is_safe_address(url):
            raise TemporarilyUnavailable(f"The provider names no safe {name}")


def _read_claims(claims: Mapping[str, Any], provider: OidcProvider) -> OidcClaims:
    """Return the claims that matter. Raises OidcRefusedError."""
    audience, subject = claims["aud"], claims["sub"]
    several = isinstance(audience, Sequence) and not isinstance(audience, str) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") not in provider.audiences:
        raise OidcRefusedError("the ID token was made for somebody else")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise OidcRefusedError("the ID token names nobody")
    email, name = claims.get("email"), claims.get("name")
    return OidcClaims(
        issuer=provider.issuer,
        subject=subject,
        email=email if isinstance(email, str) else "",
        email_verified=claims.get("email_verified") in {True, "true"},  # Apple writes a text
        name=name if isinstance(name, str) else "",
        expires_at_s=int(claims["exp"]),
    )
