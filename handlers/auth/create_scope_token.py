"""Lend others the sight of channels: a link to a live auction, an order's progress for the family."""

from handlers.auth.rules import SCOPE_TOKENS_MAX
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Event, Outcome, Stores
from handlers.domain import ChannelKinds
from protocols.auth.commands import (
    CreateScopeToken,
    NotShareable,
    ScopeToken,
    ScopeTokenCreated,
    SessionOver,
    TooManyScopeTokens,
)
from protocols.labels import check_label
from protocols.topics import personal_channel
from protocols.values import new_id, to_timestamp
from storage.auth.scope_tokens_postgres import MadeToken, insert_scope_token, list_scope_tokens
from storage.auth.sessions_postgres import lock_access


async def create_scope_token(
    command: CreateScopeToken, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Return a token for these channels, good while the caller's session lives with the roles it has now.

    Whether the caller may follow a channel is asked when the token is shown, and not before: it may change both ways.

    Raises: InvalidInput, NotShareable, SessionOver, TooManyScopeTokens.
    """
    label = check_label(command.label, "/label", "A label") if command.label else ""
    for channel in command.channels:
        kind = stores.need(ChannelKinds).kind_of(channel)
        if kind is None or not kind.shareable:
            raise NotShareable(f"`{channel}` cannot be shared by a token")
    if caller.session_id is None:
        raise SessionOver
    access = await lock_access(stores.db, caller.id, caller.session_id, now_ms)
    if access is None:
        raise SessionOver
    if len(await list_scope_tokens(stores.db, caller.id, now_ms, SCOPE_TOKENS_MAX)) >= SCOPE_TOKENS_MAX:
        raise TooManyScopeTokens
    # Roles as they are now, with the version that goes with them: the caller's own token may be older.
    issuer = Caller(caller.id, caller.session_id, access.roles)
    ends_at_ms = min(now_ms + command.ttl_s * 1000, access.expires_at_ms) // 1000 * 1000
    made = MadeToken(
        token_id=new_id(),
        label=label,
        channels=command.channels,
        created_at_ms=now_ms,
        expires_at_ms=ends_at_ms,
    )
    await insert_scope_token(stores.db, made, caller.id, caller.session_id, access.access_version)
    token = stores.need(AuthTools).sign_scope_token(
        made.token_id, issuer, access.access_version, command.channels, now_ms, ends_at_ms
    )
    expires_at = to_timestamp(ends_at_ms)
    created = ScopeTokenCreated(
        token_id=made.token_id, label=label, channels=command.channels, expires_at=expires_at
    )
    return Outcome(
        reply=ScopeToken(id=made.token_id, token=token, expires_at=expires_at),
        events=[Event(personal_channel(caller.id), "scope_token_created", created)],
        secret=True,
    )
