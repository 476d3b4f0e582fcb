"""Other sign-in providers on the wire: what they prove, and who is linked to them."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from protocols.auth.commands import DeviceToken
from protocols.errors import Refusal
from protocols.values import Timestamp

ProviderName = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,30}$(?!\n)", max_length=31, examples=["google"])
]
"""`google`, `apple`, `facebook`, or one that the market's operator added."""

Issuer = Annotated[str, Meta(examples=["https://accounts.google.com"])]
"""Who signs a provider's tokens."""


class ProviderProof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider gave: a code with its verifier and redirect URI, or an ID token."""

    provider: ProviderName
    nonce: Annotated[str, Meta(min_length=16, max_length=128, examples=["n-0S6_WzA2Mj-8u7f-tQ"])]
    """What the app made up when it sent the person to the provider; the ID token repeats it."""
    code: Annotated[str, Meta(max_length=4096, examples=["SplxlOBeZQQYbYS6WxSbIA"])] = ""
    code_verifier: Annotated[str, Meta(pattern=r"^([A-Za-z0-9._~-]{43,128})?$(?!\n)", max_length=128)] = ""
    """Of PKCE (RFC 7636)."""
    redirect_uri: Annotated[str, Meta(max_length=2048, examples=["https://app.example/callback"])] = ""
    """The one that the code was sent to."""
    id_token: Annotated[str, Meta(max_length=16_384)] = ""
    """Instead of a code, where the provider's own SDK gives one to an app."""


class SignInWithProvider(ProviderProof, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign in as whom a provider says you are; whoever is not known gets an account."""

    display_name: Annotated[str, Meta(max_length=60)] = ""
    """For a new account, where the provider tells its name to the app alone, and once (Apple)."""
    device_token: DeviceToken = ""


class LinkProvider(ProviderProof, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let a provider sign you in to this account from now on."""


class ListIdentities(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask which providers sign you in."""


class UnlinkIdentity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let a provider sign you in no more."""

    identity_id: UUID


class ListProviders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask which providers this market takes."""


class Identity(Struct, frozen=True, kw_only=True):
    """A provider that signs the caller in."""

    id: UUID
    provider: ProviderName
    email: str
    """As the provider told it then."""
    linked_at: Timestamp


class Identities(Struct, frozen=True, kw_only=True):
    """All of them, the oldest first."""

    items: list[Identity]
    next_cursor: str | None = None


class Provider(Struct, frozen=True, kw_only=True):
    """Where an app sends people to sign in."""

    name: str
    issuer: Issuer
    """Its description is at `/.well-known/openid-configuration` below it."""
    client_id: Annotated[str, Meta(examples=["123456.apps.googleusercontent.com"])]


class Providers(Struct, frozen=True, kw_only=True):
    """All providers of this market."""

    items: list[Provider]
    next_cursor: str | None = None


class IdentityLinked(Struct, frozen=True, kw_only=True):
    """A provider signs this account in from now on."""

    identity_id: UUID
    provider: ProviderName


class IdentityUnlinked(Struct, frozen=True, kw_only=True):
    """A provider signs this account in no more."""

    identity_id: UUID


class ProviderNotFound(Refusal):
    """This market takes no such provider; `GET /v1/auth/providers` lists those it takes."""

    code, number, status = "provider_not_found", 513, 404


class SignInRefused(Refusal):
    """What the provider gave does not prove who you are; begin again at the provider."""

    code, number, status = "sign_in_refused", 514, 401


class ProviderEmailMissing(Refusal):
    """The provider tells no address of yours; register with a password, then link the provider."""

    code, number, status = "provider_email_missing", 515, 422


class IdentityTaken(Refusal):
    """Another account is signed in by this identity."""

    code, number, status = "identity_taken", 516, 409


class IdentityNotFound(Refusal):
    """No such provider signs you in."""

    code, number, status = "identity_not_found", 517, 404


class LastWayIn(Refusal):
    """Nothing else would sign you in; set a password first (`POST /v1/auth/password-reset`)."""

    code, number, status = "last_way_in", 518, 409


PROVIDER_EVENTS: dict[str, type[Struct]] = {
    "identity_linked": IdentityLinked,
    "identity_unlinked": IdentityUnlinked,
}
"""Event types on `personal:#<user_id>`, for the interface documents."""
