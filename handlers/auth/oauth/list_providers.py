"""Which providers this market takes."""

from handlers.auth.oauth.tools import OauthTools
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.providers import (
    ListProviders,
    Provider,
    Providers,
)


async def list_providers(
    command: ListProviders,  # noqa: ARG001 - all of them
    caller: Caller,  # noqa: ARG001 - the same for everybody
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of the start
) -> Outcome:
    """Return all providers with what an app needs to send people there."""
    known = stores.need(OauthTools).providers
    items = [Provider(name=one.name, issuer=one.issuer, client_id=one.client_id) for one in known]
    return Outcome(Providers(items=items))
