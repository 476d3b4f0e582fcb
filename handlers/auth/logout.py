"""End the caller's own session."""

from handlers.auth.sessions import announce_ends
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import Logout, SessionEnd, SessionNotFound
from storage.auth.sessions_postgres import end_session


async def logout(_command: Logout, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """End the session; nothing of it works a second later. A repeat finds it ended and says the same.

    Raises: SessionNotFound for a caller without a session.
    """
    if caller.session_id is None:
        raise SessionNotFound
    ended = await end_session(stores.db, caller.id, caller.session_id, now_ms, "logout")
    events = announce_ends(caller.id, [caller.session_id], "logout") if ended else []
    return Outcome(reply=SessionEnd(session_id=caller.session_id), events=events)
