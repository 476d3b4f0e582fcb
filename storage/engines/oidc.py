"""An OpenID Connect provider: what it says of itself, its keys, the exchange of a code, the check of an ID token.

Everything a provider answers is a stranger's: bounded in size and time, never decompressed, redirects are not followed,
addresses are https, or of this machine for a provider of this machine.
Source: OpenID Connect Core 1.0 (3.1.3), Discovery 1.0, RFC 7636 (PKCE), RFC 9700.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from protocols.errors import TemporarilyUnavailable

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures that are taken. Never `none`, never a shared secret."""

TIMEOUT_S = 8.0
"""For a whole answer, however slowly it comes."""
ANSWER_BYTES_MAX = 262_144
TOKEN_BYTES_MAX = 16_384
KEYS_MAX = 64
KEPT_S = 3_600.0
"""How long what a provider says of itself, and its keys, are taken as they were."""
REFETCH_S = 30.0
"""Keys are fetched again for a token that names an unknown one, at most this often."""
LEEWAY_S = 60
"""How far the clocks may be apart."""
LIFE_MAX_S = 30 * 86_400
"""How long an ID token may still be good: its nonce is kept for that time."""

_SUBJECT_MAX = 255
_PORT_MAX = 65_535
_KEY_TYPES = ("RSA", "EC", "OKP")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""A small answer could unfold to gigabytes: nothing is decompressed."""

_decode_json = msgspec.json.Decoder(
    float_hook=float
).decode  # its own way takes 40 us for a number such as 1.5e300


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
        self._fetching = asyncio.Lock()
        self._fetches = 0

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
        return _read_claims(claims, self.provider, nonce)

    async def _decode(self, token: str) -> dict[str, Any]:
        """Return what a token says if one of the provider's keys signed it. Raises OidcRefusedError."""
        keys = await self._read_keys()
        while True:
            try:
                return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, TypeError, ValueError, RecursionError) as error:
                others = await self._read_keys(instead_of=keys)
                if others is keys:
                    raise OidcRefusedError("no key of the provider signed this token") from error
            keys = others

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

    async def _read_keys(self, instead_of: KeySet | None = None) -> KeySet:
        """Return the keys; fetched again, if that may be, when a token does not hold with those of before.

        All who wait share one call and its outcome. Raises TemporarilyUnavailable.
        """
        begun = self._fetches
        async with self._fetching:
            now = time.monotonic()
            stale = self._keys is None or now >= self._keys_until
            unknown = self._keys is instead_of and now >= self._keys_again_at
            if (stale or unknown) and begun == self._fetches:
                self._fetches += 1
                self._keys_again_at = now + REFETCH_S  # also after a call that fails
                self._keys, self._keys_until = await self._fetch_keys(), now + KEPT_S
            elif stale:
                raise TemporarilyUnavailable("The provider cannot be reached; try again in a minute")
            assert self._keys is not None, "keys that are not stale are there"
            return self._keys

    async def _fetch_keys(self) -> KeySet:
        """Return the keys that can be read. Those of a kind that we do not know are none (RFC 7517, 5)."""
        listed = (await self._fetch("GET", str((await self._describe())["jwks_uri"]))).get("keys")
        if not isinstance(listed, list) or not 0 < len(listed) <= KEYS_MAX:
            raise TemporarilyUnavailable("The provider has no keys, or too many")
        keys: list[Any] = []
        for key in listed:
            if not isinstance(key, dict) or key.get("kty") not in _KEY_TYPES or "d" in key:
                continue  # a private key is checked for 0.2 s, and is nothing to publish
            try:
                keys += KeySet.import_key_set({"keys": [key]}).keys
            except (JoseError, LookupError, TypeError, ValueError, UnsupportedAlgorithm):
                continue
        if not keys:
            raise TemporarilyUnavailable("The provider's keys cannot be read")
        return KeySet(keys)

    async def _fetch(self, method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the object that a provider answers. Raises OidcRefusedError for a 4xx, else TemporarilyUnavailable."""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._http.stream(method, url, data=form, headers=_HEADERS) as answer,
            ):
                body = bytearray()
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise TemporarilyUnavailable("The provider's answer is too long")
        except (httpx.HTTPError, TimeoutError) as error:
            raise TemporarilyUnavailable("The provider cannot be reached; try again in a minute") from error
        if form is not None and 400 <= answer.status_code < 500:
            raise OidcRefusedError("the provider does not take this code")
        if answer.status_code != httpx.codes.OK:
            raise TemporarilyUnavailable("The provider does not work; try again in a minute")
        try:
            found = _decode_json(bytes(body))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise TemporarilyUnavailable("The provider's answer is no JSON") from error
        if not isinstance(found, dict):
            raise TemporarilyUnavailable("The provider's answer is no object")
        return found


def is_safe_address(url: str, *, of_this_machine: bool = True) -> bool:
    """Whether a provider's address is encrypted, or of this machine where that may be."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return False
    if not parts.host or not 0 < (parts.port or 443) <= _PORT_MAX:
        return False
    if parts.host in _LOOPBACK:
        return of_this_machine and parts.scheme in {"http", "https"}
    return parts.scheme == "https"


def _check_addresses(about: Mapping[str, Any], provider: OidcProvider) -> None:
    """Raise TemporarilyUnavailable unless the addresses that are used are safe."""
    of_this_machine = httpx.URL(provider.issuer).host in _LOOPBACK
    for name in ("jwks_uri",) if provider.token_endpoint else ("jwks_uri", "token_endpoint"):
        url = about.get(name)
        if not isinstance(url, str) or not is_safe_address(url, of_this_machine=of_this_machine):
            raise TemporarilyUnavailable(f"The provider names no safe {name}")


def _read_claims(claims: Mapping[str, Any], provider: OidcProvider, nonce: str) -> OidcClaims:
    """Return the claims that matter. Raises OidcRefusedError."""
    audience, subject = claims["aud"], claims["sub"]
    several = isinstance(audience, Sequence) and not isinstance(audience, str) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") not in provider.audiences:
        raise OidcRefusedError("the ID token was made for somebody else")
    if claims["nonce"] != nonce:  # a list that has it is none
        raise OidcRefusedError("the ID token was made for another sign-in")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_MAX or not subject.isprintable():
        raise OidcRefusedError("the ID token names nobody")
    expires_at_s = int(claims["exp"])
    if expires_at_s > time.time() + LIFE_MAX_S:
        raise OidcRefusedError("the ID token is good for too long")
    verified = claims.get("email_verified")
    return OidcClaims(
        issuer=provider.issuer,
        subject=subject,
        email=_text(claims.get("email")),
        email_verified=verified is True or verified == "true",  # Apple writes a text
        name=_text(claims.get("name")),
        expires_at_s=expires_at_s,
    )


def _text(value: object) -> str:
    """Return a claim's text, without what no table can keep: U+0000 and half surrogates; "" for what is no text."""
    return value.replace("\0", "").encode(errors="ignore").decode() if isinstance(value, str) else ""
