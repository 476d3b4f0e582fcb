"""The providers of a process, each with what it last said of itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from handlers.auth.oauth.providers import read_providers
from handlers.domain import ToolContext
from handlers.settings import Settings
from protocols.auth.providers import (
    ProviderNotFound,
    SignInRefused,
)
from protocols.errors import TemporarilyUnavailable
from storage.engines.oidc import TIMEOUT_S, OidcClaims, OidcClient, OidcProvider, OidcRefusedError

CALLS_MAX = 32
"""Sign-ins of one process that wait for a provider at a time; beyond that the answer is a temporary refusal."""


class OauthTools:
    """Asks providers who somebody is."""

    def __init__(self, clients: dict[str, OidcClient]) -> None:
        """Take the clients by the names of their providers."""
        self._clients = clients
        self._waiting = 0

    @property
    def providers(self) -> list[OidcProvider]:
        """The providers, in the order of their file."""
        return [client.provider for client in self._clients.values()]

    async def identify(
        self, name: str, *, id_token: str, nonce: str, code: str, code_verifier: str, redirect_uri: str
    ) -> OidcClaims:
        """Return who an ID token, or the one that a code stands for, names.

        Raises: ProviderNotFound, SignInRefused, TemporarilyUnavailable.
        """
        client = self._clients.get(name)
        if client is None:
            raise ProviderNotFound
        if self._waiting >= CALLS_MAX:
            raise TemporarilyUnavailable(
                "Too many people are signing in right now; try again in a few seconds"
            )
        self._waiting += 1
        try:
            token = id_token or await client.exchange(code, code_verifier, redirect_uri)
            return await client.verify(token, nonce)
        except OidcRefusedError as error:
            raise SignInRefused(f"{name}: {error}") from error
        finally:
            self._waiting -= 1


@asynccontextmanager
async def open_oauth_tools(context: ToolContext) -> AsyncIterator[OauthTools]:
    """Open one HTTP client for all providers."""
    limits = httpx.Limits(max_connections=CALLS_MAX, max_keepalive_connections=4)
    async with httpx.AsyncClient(
        timeout=TIMEOUT_S, limits=limits, follow_redirects=False, trust_env=True
    ) as http:
        yield OauthTools({provider.name: OidcClient(provider, http) for provider in _read(context.settings)})


def check_oauth_settings(settings: Settings) -> None:
    """Read the file of providers. Raises SettingsError."""
    _read(settings)


def _read(settings: Settings) -> tuple[OidcProvider, ...]:
    return read_providers(settings.oauth_providers)
