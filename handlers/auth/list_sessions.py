"""Where the caller is signed in."""

from handlers.auth.rules import SESSIONS_MAX
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import ListSessions, Session, Sessions
from protocols.values import to_timestamp
from storage.auth import sessions_postgres


async def list_sessions(_command: ListSessions, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return the caller's live sessions; all of them, as their number has a bound."""
    found = await sessions_postgres.list_sessions(stores.db, caller.id, now_ms, SESSIONS_MAX)
    items = [
        Session(
            id=session.session_id,
            created_at=to_timestamp(session.created_at_ms),
            last_used_at=to_timestamp(session.rotated_at_ms),
            expires_at=to_timestamp(session.expires_at_ms),
            remote_ip=session.remote_ip,
            current=session.session_id == caller.session_id,
        )
        for session in found
    ]
    return Outcome(reply=Sessions(items=items))
