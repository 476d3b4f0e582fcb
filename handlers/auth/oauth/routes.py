"""Signing in with other providers."""

from handlers.auth.oauth.link_provider import link_provider, prepare_link
from handlers.auth.oauth.list_identities import list_identities
from handlers.auth.oauth.list_providers import list_providers
from handlers.auth.oauth.sign_in_with_provider import prepare_provider, sign_in_with_provider
from handlers.auth.oauth.unlink_identity import unlink_identity
from handlers.contract import Permission, Route
from protocols.auth.commands import (
    AccountBanned,
    EmailTaken,
    SignedIn,
)
from protocols.auth.factors import SecondFactorRequired
from protocols.auth.providers import (
    Identities,
    Identity,
    IdentityNotFound,
    IdentityTaken,
    LastWayIn,
    LinkProvider,
    ListIdentities,
    ListProviders,
    ProviderEmailMissing,
    ProviderNotFound,
    Providers,
    SignInRefused,
    SignInWithProvider,
    UnlinkIdentity,
)
from protocols.auth.refusals import UserNotFound
from protocols.errors import InvalidInput

_PROOF = (InvalidInput, ProviderNotFound, SignInRefused)

ROUTES: tuple[Route, ...] = (
    Route(
        domain="auth",
        command=ListProviders,
        reply=Providers,
        function=list_providers,
        method="GET",
        path="/v1/auth/providers",
        permission=Permission.ANYONE,
    ),
    Route(
        domain="auth",
        command=SignInWithProvider,
        reply=SignedIn,
        function=sign_in_with_provider,
        prepare=prepare_provider,
        method="POST",
        path="/v1/auth/oauth/{provider}/exchange",
        permission=Permission.ANYONE,
        cost=3,
        rpc=False,
        refusals=(
            *_PROOF,
            AccountBanned,
            EmailTaken,
            IdentityTaken,
            ProviderEmailMissing,
            SecondFactorRequired,
        ),
    ),
    Route(
        domain="auth",
        command=LinkProvider,
        reply=Identity,
        function=link_provider,
        prepare=prepare_link,
        method="POST",
        path="/v1/auth/oauth/{provider}/link",
        permission=Permission.SIGNED_IN,
        cost=3,
        rpc=False,
        refusals=(*_PROOF, IdentityTaken, UserNotFound),
    ),
    Route(
        domain="auth",
        command=ListIdentities,
        reply=Identities,
        function=list_identities,
        method="GET",
        path="/v1/auth/identities",
        permission=Permission.SIGNED_IN,
    ),
    Route(
        domain="auth",
        command=UnlinkIdentity,
        reply=None,
        function=unlink_identity,
        method="DELETE",
        path="/v1/auth/identities/{identity_id}",
        permission=Permission.SIGNED_IN,
        status=204,
        refusals=(IdentityNotFound, LastWayIn, UserNotFound),
    ),
)
