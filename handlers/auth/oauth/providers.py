"""The providers of a market, as data: a TOML file with a table per provider, and what is known of the great ones.

```toml
[google]
client_id = "123.apps.googleusercontent.com"
client_secret = "..."
audiences = ["ios.apps.googleusercontent.com"]     # client ids of apps whose own SDK signs people in

[apple]
client_id = "org.example.market"
team_id = "ABCDE12345"
key_id = "XYZ987"
private_key_file = "apple.p8"                      # beside this file

[acme]
issuer = "https://login.acme.example"
client_id = "mnbara"
client_secret = "..."
```
"""

import re
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jwt
import msgspec

from handlers.settings import SettingsError
from storage.engines.oidc import OidcProvider, is_safe_address

ISSUERS = {
    "google": "https://accounts.google.com",
    "apple": "https://appleid.apple.com",
    "facebook": "https://www.facebook.com",
}

_TOKEN_ENDPOINTS = {"facebook": "https://graph.facebook.com/v23.0/oauth/access_token"}
"""Facebook's own description names none."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_APPLE_SECRET_S = 300
"""Apple takes a signed secret of up to half a year; one for each exchange need not be kept."""


_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    client_id: _Text
    issuer: str = ""
    client_secret: str = ""
    audiences: list[_Text] = []
    team_id: str = ""
    key_id: str = ""
    private_key_file: str = ""


def read_providers(path: str) -> tuple[OidcProvider, ...]:
    """Return the providers of a file; none without one. Raises SettingsError that names what is wrong."""
    if not path:
        return ()
    place = Path(path)
    try:
        tables = tomllib.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # also a number of 5,000 digits
        raise SettingsError(f"MNBARA_OAUTH_PROVIDERS: {place} cannot be read: {error}") from None
    return tuple(_provider(name, table, place) for name, table in tables.items())


def _provider(name: str, table: object, place: Path) -> OidcProvider:
    where = f"MNBARA_OAUTH_PROVIDERS: [{name}] in {place}"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: a name is of small letters, digits and hyphens")
    try:
        entry = msgspec.convert(table, _Entry)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}") from None
    issuer = entry.issuer or ISSUERS.get(name, "")
    if not is_safe_address(issuer) or any(sign in issuer for sign in "?#@"):
        raise SettingsError(f"{where}: `issuer` must be an https address, without name, query and fragment")
    return OidcProvider(
        name=name,
        issuer=issuer,
        client_id=entry.client_id,
        audiences=(entry.client_id, *entry.audiences),
        client_secret=_apple_secret(entry, issuer, place, where)
        if name == "apple"
        else lambda: entry.client_secret,
        token_endpoint=_TOKEN_ENDPOINTS.get(name, ""),
    )


def _apple_secret(entry: _Entry, issuer: str, place: Path, where: str) -> Callable[[], str]:
    """Return what signs Apple's client secret, an ES256 JWT. Raises SettingsError."""
    for name in ("team_id", "key_id"):
        if not getattr(entry, name):
            raise SettingsError(f"{where}: `{name}` is missing")

    def sign() -> str:
        now_s = int(time.time())
        claims: dict[str, Any] = {
            "iss": entry.team_id,
            "sub": entry.client_id,
            "aud": issuer,
            "iat": now_s,
            "exp": now_s + _APPLE_SECRET_S,
        }
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": entry.key_id})

    try:
        key = (place.parent / entry.private_key_file).read_text(encoding="ascii")
        sign()
    except (OSError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise SettingsError(
            f"{where}: `private_key_file` is no key of Apple: {type(error).__name__}"
        ) from None
    return sign
