"""Which providers sign the caller in."""

from handlers.auth.oauth.link_provider import to_identity
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.providers import (
    Identities,
    ListIdentities,
)
from storage.auth import identities_postgres


async def list_identities(
    command: ListIdentities,  # noqa: ARG001 - all of them
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return all identities of the caller."""
    rows = await identities_postgres.list_identities(stores.db, caller.id)
    return Outcome(Identities(items=[to_identity(row) for row in rows]))
