"""Sign out one of the caller's sessions, from another one."""

from handlers.auth.sessions import announce_ends
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import EndSession, SessionEnd, SessionNotFound
from storage.auth import sessions_postgres


async def end_session(command: EndSession, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """End a live session of the caller's own.

    Raises: SessionNotFound, also for somebody else's.
    """
    ended = await sessions_postgres.end_session(
        stores.db, caller.id, command.session_id, now_ms, "ended_elsewhere"
    )
    if not ended:
        raise SessionNotFound
    return Outcome(
        reply=SessionEnd(session_id=command.session_id),
        events=announce_ends(caller.id, [command.session_id], "ended_elsewhere"),
    )
