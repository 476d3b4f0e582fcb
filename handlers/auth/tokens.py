"""Tokens: EdDSA access tokens that any process can check without asking, counter refresh tokens without rows.

An access token names user, session, roles and the user's access version. A refresh token is session and counter under
a MAC; which counter is current stands in the session's row. Source: RFC 7519, 8725, 9068;
decisions 0010, 0043.
"""

import hashlib
import hmac
import random
import secrets
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import jwt
import msgspec
from cryptography.exceptions import InvalidSignature
from msgspec import Struct

from handlers.auth.keys import KeyRing, decode, encode
from handlers.auth.revocations import RevocationWatch
from handlers.contract import Caller
from protocols.auth.commands import SessionOver, TokenExpired, TokenInvalid
from protocols.values import now_instant

AUDIENCE = "mnbara"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1
TOKEN_BYTES_MAX = 4096
"""Ours have about 500; longer ones are not worth a look."""

CACHE_MAX = 20_000
"""Verified tokens remembered per process, about 1 KB each: a first check takes 0.12 ms, nine tenths of it arithmetic, a
look-up 1 µs. As many as a process has connections, or a full one that comes back would find none of its own."""

LIFE_SPREAD = 0.05
"""Access tokens live up to this much shorter, at random, so that clients who signed in together refresh apart."""

Claims = dict[str, Any]


class SignedClaims(Struct, frozen=True, gc=False):
    """What every token of ours says; one that lacks any of it, or says it otherwise, is not ours."""

    iss: str
    aud: str
    sub: UUID
    sid: UUID
    roles: list[str]
    ver: int
    iat: int
    exp: int
    """Unix seconds."""
    jti: str
    nbf: int = 0


T = TypeVar("T")
C = TypeVar("C", bound=SignedClaims)

_REFRESH = struct.Struct(">B16sQ")
_REFRESH_VERSION = 1


@dataclass(frozen=True, slots=True)
class Verified:
    """What a good access token says."""

    caller: Caller
    access_version: int
    expires_at_s: int
    """Unix seconds."""


class TokenSigner:
    """Makes access tokens."""

    def __init__(self, keys: KeyRing, issuer: str, life_s: int) -> None:
        """Prepare; `issuer` is the server's public URL."""
        self._keys = keys
        self._issuer = issuer
        self._life_s = life_s

    def sign(self, caller: Caller, access_version: int, now_ms: int, ends_at_ms: int) -> tuple[str, int]:
        """Return a token that expires with its session at the latest, and its life in seconds."""
        life_s = self._life_s - int(random.uniform(0, LIFE_SPREAD) * self._life_s)
        life_s = max(1, min(life_s, (ends_at_ms - now_ms) // 1000))
        issued_at_s = now_ms // 1000
        claims = claims_of(caller, access_version, issued_at_s, issued_at_s + life_s)
        claims |= {"iss": self._issuer, "aud": AUDIENCE}
        return sign(self._keys, TOKEN_TYPE, claims), life_s


def claims_of(caller: Caller, access_version: int, issued_at_s: int, expires_at_s: int) -> Claims:
    """Return the claims that say who somebody is, from when and until when."""
    return {
        "sub": str(caller.user_id),
        "sid": str(caller.session_id),
        "roles": sorted(caller.roles),
        "ver": access_version,
        "iat": issued_at_s,
        "exp": expires_at_s,
        "jti": secrets.token_urlsafe(12),
    }


def sign(keys: KeyRing, token_type: str, claims: Claims) -> str:
    """Return claims as a JWT of this type, signed by the first key."""
    key = keys.signer
    return jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.kid, "typ": token_type})


class _Header(Struct, forbid_unknown_fields=True, gc=False):
    """The header of a token of ours: nothing else, so nothing critical that we would overlook (RFC 7515 4.1.11)."""

    alg: str
    kid: str
    typ: str


_read_header = msgspec.json.Decoder(_Header).decode
_MALFORMED = (msgspec.DecodeError, ValueError, RecursionError)


class TokenReader(Generic[C, T]):
    """Checks the signatures of one kind of token, each token once."""

    def __init__(
        self,
        keys: KeyRing,
        issuer: str,
        audience: str,
        token_type: str,
        claims: type[C],
        read: Callable[[C], T],
    ) -> None:
        """Take tokens of this issuer, audience and type that say `claims`; `read` makes sense of them."""
        self._keys = keys
        self._issuer, self._audience, self._type = issuer, audience, token_type
        self._read_claims = msgspec.json.Decoder(claims).decode
        self._read = read
        self._cache: OrderedDict[bytes, T] = OrderedDict()

    def read(self, token: str) -> T:
        """Return what the token says if the signature is ours; whether it is still good is the caller's to judge.

        Raises: TokenInvalid.
        """
        if len(token) > TOKEN_BYTES_MAX:
            raise TokenInvalid
        digest = hashlib.blake2b(token.encode(errors="replace"), digest_size=16).digest()
        known = self._cache.get(digest)
        if known is not None:
            self._cache.move_to_end(digest)
            return known
        try:
            checked = self._read(self._check(token))
        except _MALFORMED as error:
            raise TokenInvalid from error
        self._cache[digest] = checked
        if len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)
        return checked

    def _check(self, token: str) -> C:
        """Return the claims of a token that one of our keys signed for this use. Raises TokenInvalid, _MALFORMED.

        The algorithm is the key's, never what the header asks for; that must agree (RFC 8725 section 3.1). Expiry is
        checked at every use; clocks of two of our machines may differ in `iat`.
        """
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        header = _read_header(decode(head))
        key = self._keys.find(header.kid)
        if key is None or header.alg != "EdDSA" or header.typ != self._type:
            raise TokenInvalid
        try:
            key.public.verify(decode(signature), signed.encode("ascii"))
        except InvalidSignature as error:
            raise TokenInvalid from error
        claims = self._read_claims(decode(body))
        if claims.iss != self._issuer or claims.aud != self._audience or claims.nbf > time.time():
            raise TokenInvalid
        return claims


class TokenVerifier:
    """Checks access tokens: signature once, expiry and revocation at every use."""

    def __init__(self, keys: KeyRing, issuer: str, watch: RevocationWatch) -> None:
        """Prepare; `watch` must be started."""
        self._watch = watch
        self._reader = TokenReader(keys, issuer, AUDIENCE, TOKEN_TYPE, SignedClaims, _verified)

    def verify_now(self, token: str) -> Verified | None:
        """Return who the token names, or None when this process has to look for ended sessions first.

        Raises: TokenInvalid, TokenExpired, SessionOver.
        """
        if not self._watch.is_fresh:
            return None
        verified = self._reader.read(token)
        self.confirm(verified)
        return verified

    async def verify_access_token(self, token: str) -> Verified:
        """Return who the token names. Without a database round trip unless this process lost touch for a second.

        Raises: TokenInvalid, TokenExpired, SessionOver, TemporarilyUnavailable.
        """
        verified = self._reader.read(token)
        if not self._watch.is_fresh:
            await self._watch.refresh()
        self.confirm(verified)
        return verified

    async def identify(self, token: str, peer: str) -> Caller:
        """Return the caller a token names, who calls from the address `peer`. Raises as `verify_access_token`."""
        caller = (await self.verify_access_token(token)).caller
        return Caller(caller.user_id, caller.session_id, caller.roles, peer)

    def confirm(self, verified: Verified) -> None:
        """Judge a verified token again by what this process knows now. Raises TokenExpired, SessionOver."""
        confirm(verified, self._watch)


def confirm(verified: Verified, watch: RevocationWatch) -> None:
    """Judge what a token says by what this process knows now. Raises TokenExpired, SessionOver."""
    if now_instant() >= verified.expires_at_s * 1000:
        raise TokenExpired
    caller = verified.caller
    if watch.has_ended(caller.session_id):
        raise SessionOver
    if watch.access_version(caller.user_id) > verified.access_version:
        raise TokenExpired("The roles of this account changed; refresh the token")


def _verified(claims: SignedClaims) -> Verified:
    return Verified(caller_of(claims), claims.ver, claims.exp)


def caller_of(claims: SignedClaims) -> Caller:
    """Return whom the claims name."""
    return Caller(claims.sub, claims.sid, frozenset(claims.roles))


class RefreshTokens:
    """Makes and reads refresh tokens: base64url(version, session, counter, HMAC-SHA256)."""

    def __init__(self, keys: list[bytes]) -> None:
        """Prepare; the first key signs, all are accepted."""
        self._keys = keys

    def sign(self, session_id: UUID, counter: int) -> str:
        """Return the token of a session at a counter; always the same one."""
        body = _REFRESH.pack(_REFRESH_VERSION, session_id.bytes, counter)
        return encode(body + _mac(self._keys[0], body))

    def read(self, token: str) -> tuple[UUID, int]:
        """Return session and counter. Raises TokenInvalid for anything we did not make."""
        try:
            raw = decode(token)
        except ValueError as error:
            raise TokenInvalid from error
        body, mac = raw[: _REFRESH.size], raw[_REFRESH.size :]
        if not any(hmac.compare_digest(_mac(key, body), mac) for key in self._keys):
            raise TokenInvalid
        version, session, counter = _REFRESH.unpack(body)
        if version != _REFRESH_VERSION:
            raise TokenInvalid
        return UUID(bytes=session), counter


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"mnbara refresh token\0" + body, "sha256")
