"""Ask a provider who somebody is, before any transaction: a call to another machine."""

from msgspec import Struct

from handlers.auth.oauth.tools import OauthTools
from handlers.contract import Preparation
from protocols.auth.providers import (
    ProviderProof,
    SignInRefused,
)
from protocols.errors import InvalidInput
from protocols.values import now_instant
from storage.auth.used_tokens_redis import use_once
from storage.engines.oidc import LEEWAY_S, OidcClaims


class Proven(Struct, frozen=True):
    """Who somebody is, by a token that was used for the first time."""

    provider: str
    claims: OidcClaims
    display_name: str = ""
    device_token: str = ""


async def prove(command: ProviderProof, before: Preparation) -> OidcClaims:
    """Return who the provider says it is.

    Raises: InvalidInput, ProviderNotFound, SignInRefused, TemporarilyUnavailable.
    """
    if bool(command.code) == bool(command.id_token):
        raise InvalidInput(
            "Send a code or an ID token", errors=[{"pointer": "/code", "detail": "one of code, id_token"}]
        )
    if command.code and not (command.code_verifier and command.redirect_uri):
        pointer = "/redirect_uri" if command.code_verifier else "/code_verifier"
        raise InvalidInput(
            "A code needs its verifier and redirect URI", errors=[{"pointer": pointer, "detail": "missing"}]
        )
    claims = await before.need(OauthTools).identify(
        command.provider,
        id_token=command.id_token,
        nonce=command.nonce,
        code=command.code,
        code_verifier=command.code_verifier,
        redirect_uri=command.redirect_uri,
    )
    life_s = claims.expires_at_s - now_instant() // 1000 + LEEWAY_S
    if not await use_once(before.redis, claims.issuer, command.nonce, life_s):
        raise SignInRefused("This sign-in was used before; begin again at the provider")
    return claims
