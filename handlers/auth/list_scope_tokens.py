"""What the caller lends to others."""

from handlers.auth.rules import SCOPE_TOKENS_MAX
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import ListScopeTokens, ScopeTokens, ScopeTokenSummary
from protocols.values import to_timestamp
from storage.auth import scope_tokens_postgres


async def list_scope_tokens(
    _command: ListScopeTokens, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Return the caller's good tokens; all of them, as their number has a bound."""
    found = await scope_tokens_postgres.list_scope_tokens(stores.db, caller.id, now_ms, SCOPE_TOKENS_MAX)
    items = [
        ScopeTokenSummary(
            id=token.token_id,
            label=token.label,
            channels=token.channels,
            created_at=to_timestamp(token.created_at_ms),
            expires_at=to_timestamp(token.expires_at_ms),
        )
        for token in found
    ]
    return Outcome(reply=ScopeTokens(items=items))
