"""Lend others the sight of channels: a link to a live auction, an order's progress for the family."""

from handlers.contract import Caller, Outcome, Stores
from protocols.auth import CreateScopeToken, NotShareable, ScopeToken, SessionOver
from protocols.topics import SHAREABLE, parse_channel
from protocols.values import to_timestamp
from storage.auth.sessions_postgres import read_access


async def create_scope_token(
    command: CreateScopeToken, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Return a token for these channels, good while the caller's session lives with the roles it has now.

    Whether the caller may follow a channel is asked when the token is shown, and not before: it may change both ways.

    Raises: NotShareable, SessionOver.
    """
    for channel in command.channels:
        parsed = parse_channel(channel)
        if parsed is None or parsed[0] not in SHAREABLE:
            raise NotShareable(f"`{channel}` cannot be shared by a token")
    if caller.session_id is None:
        raise SessionOver
    access = await read_access(stores.db, caller.id, caller.session_id, now_ms)
    if access is None:
        raise SessionOver
    # Roles as they are now, with the version that goes with them: the caller's own token may be older.
    issuer = Caller(caller.id, caller.session_id, access.roles)
    ends_at_ms = min(now_ms + command.ttl_s * 1000, access.expires_at_ms) // 1000 * 1000
    token = stores.auth.sign_scope_token(issuer, access.access_version, command.channels, now_ms, ends_at_ms)
    return Outcome(reply=ScopeToken(token=token, expires_at=to_timestamp(ends_at_ms)), secret=True)
