"""Take one scope token back; the others of the same session stay good."""

from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auth.commands import RevokeScopeToken, ScopeTokenNotFound, ScopeTokenRevoked
from protocols.topics import personal_channel
from storage.auth import scope_tokens_postgres


async def revoke_scope_token(
    command: RevokeScopeToken, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """End a token that the caller made, from whichever session; who follows by it is told within a second.

    Raises: ScopeTokenNotFound, also for somebody else's.
    """
    if not await scope_tokens_postgres.end_scope_token(stores.db, caller.id, command.token_id, now_ms):
        raise ScopeTokenNotFound
    revoked = ScopeTokenRevoked(token_id=command.token_id)
    return Outcome(revoked, [Event(personal_channel(caller.id), "scope_token_revoked", revoked)])
