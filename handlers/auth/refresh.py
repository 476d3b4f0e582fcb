"""Exchange a refresh token by the counter rule. See decision 0010."""

from handlers.auth.rules import RefreshVerdict, check_refresh
from handlers.auth.sessions import announce_ends, sign_tokens
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import Refresh, Refreshed, RefreshReused, SessionOver, TokenExpired, TokenInvalid
from storage.auth.sessions_postgres import end_session, lock_session, rotate_session


async def refresh(command: Refresh, _caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Give the session's next tokens, or its current ones again to a client that missed them.

    A token superseded long ago ends the session, and that is committed although the request is refused.

    Raises: TokenInvalid, TokenExpired, SessionOver, RefreshReused.
    """
    session_id, presented = stores.need(AuthTools).read_refresh_token(command.refresh_token)
    session = await lock_session(stores.db, session_id)  # serialises refreshes of one session
    if session is None:
        raise TokenInvalid
    if session.ended_at_ms is not None:
        raise SessionOver
    if session.expires_at_ms <= now_ms:
        raise TokenExpired("This session is too old; sign in again")
    verdict = check_refresh(session.counter, session.rotated_at_ms, presented, now_ms)
    if verdict is RefreshVerdict.FOREIGN:
        raise TokenInvalid
    if verdict is RefreshVerdict.REUSED:
        await end_session(stores.db, session.user_id, session_id, now_ms, "refresh_reused")
        ends = announce_ends(session.user_id, [session_id], "refresh_reused")
        return Outcome(reply=None, events=ends, refusal=RefreshReused())
    counter = session.counter
    if verdict is RefreshVerdict.ROTATE:
        counter += 1
        await rotate_session(stores.db, session_id, counter, now_ms)
    owner = Caller(session.user_id, session_id, session.roles)
    tokens = sign_tokens(stores, owner, session.access_version, counter, now_ms, session.expires_at_ms)
    return Outcome(reply=Refreshed(tokens=tokens))
