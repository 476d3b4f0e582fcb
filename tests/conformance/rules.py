"""Channels and tokens of the conformance server: what the official SDKs' suites expect of a server."""

import json
import time
import warnings
from dataclasses import replace

import jwt

from realtime.ports import ChannelRule, DisconnectError, Identity, Lane, ProtocolError

SECRET = "secret"

DEFAULT = ChannelRule(
    Lane.REPLAYED,
    publish=True,
    presence=True,
    join_leave=True,
    delta=True,
    tags_filter=True,
    compaction=True,
    history_size=100,
    history_ttl_s=300,
)
NAMESPACES = {
    "": DEFAULT,
    "recovery": DEFAULT,
    "delta": DEFAULT,
    "example": replace(DEFAULT, recovery=False, delta=False, history_size=300),
    "smallhistory": replace(DEFAULT, presence=False, join_leave=False, delta=False, history_size=2),
}
BYTES = "bytes"
"""The role of Protobuf connections: their payloads need not be JSON when everything is open."""
OPEN = frozenset({"recovery", "delta"})
"""Namespaces any client may subscribe to, without a token of the channel."""


class ExpiredTokenError(Exception):
    pass


class BadTokenError(Exception):
    pass


def read_token(token: str) -> dict:
    """Return the claims; their times are whole numbers. Raises ExpiredTokenError, BadTokenError."""
    options = {"verify_sub": False, "verify_aud": False, "verify_iat": False, "verify_exp": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the suites' secret is short
            claims = jwt.decode(token, SECRET, ["HS256"], options=options)
    except jwt.InvalidTokenError as error:
        raise BadTokenError from error
    if any(type(claims.get(name, 0)) is not int for name in ("exp", "expire_at")):
        raise BadTokenError
    if "exp" in claims and claims["exp"] <= time.time():
        raise ExpiredTokenError
    return claims


def identify(token: str, *, insecure: bool) -> Identity:
    """Return whom a connection token names. Raises DisconnectError 3500, 3501, ProtocolError 109."""
    if not token:
        if insecure:
            return Identity()
        raise DisconnectError(3501, "bad request")
    try:
        claims = read_token(token)
    except ExpiredTokenError as error:
        raise ProtocolError(109, "token expired") from error
    except BadTokenError as error:
        raise DisconnectError(3500, "invalid token") from error
    if "channel" in claims:
        raise DisconnectError(3500, "invalid token")
    info = json.dumps(claims["info"]).encode() if "info" in claims else b""
    return Identity(user=claims.get("sub", ""), expires_at_s=claims.get("exp", 0), info=info)


def judge(user: str, channel: str, token: str, *, insecure: bool, presence: bool = True) -> ChannelRule:
    """Return how a channel behaves for a user. Raises ProtocolError 102, 103, 109."""
    rule = _judge(user, channel, token, insecure=insecure)
    return rule if presence else replace(rule, presence=False, join_leave=False)


def _judge(user: str, channel: str, token: str, *, insecure: bool) -> ChannelRule:
    namespace, colon, rest = channel.partition(":")
    rule = NAMESPACES.get(namespace if colon else "")
    if rule is None:
        raise ProtocolError(102, "unknown channel")
    if token:
        return _by_token(rule, user, channel, token)
    name, limited, users = (rest if colon else channel).partition("#")
    allowed = user in users.split(",") and bool(user) if limited else namespace in OPEN and bool(name)
    if not (allowed or insecure):
        raise ProtocolError(103, "permission denied")
    return rule


def _by_token(rule: ChannelRule, user: str, channel: str, token: str) -> ChannelRule:
    try:
        claims = read_token(token)
    except ExpiredTokenError as error:
        raise ProtocolError(109, "token expired") from error
    except BadTokenError as error:
        raise ProtocolError(103, "permission denied") from error
    if claims.get("channel") != channel or claims.get("sub", "") != user:
        raise ProtocolError(103, "permission denied")
    info = json.dumps(claims["info"]).encode() if "info" in claims else b""
    return replace(rule, info=info, expires_at_s=claims.get("expire_at", claims.get("exp", 0)))


def make_token(user: str, *, ttl_s: int = 0, **claims: object) -> str:
    """Return a token as the suites make theirs."""
    payload: dict[str, object] = {"sub": user, **claims}
    if ttl_s:
        payload["exp"] = int(time.time()) + ttl_s
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(payload, SECRET, "HS256")
