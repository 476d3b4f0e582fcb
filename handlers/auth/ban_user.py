"""Shut an account out, at once and everywhere."""

from handlers.auth.sessions import announce_ends, to_user
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import BanUser
from protocols.auth.refusals import UserNotFound
from protocols.errors import NotAllowed
from storage.auth.sessions_postgres import end_all_sessions
from storage.auth.users_postgres import change_ban


async def ban_user(command: BanUser, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Ban the account and end all its sessions; a repeat ends what is left.

    Raises: NotAllowed for one's own account, UserNotFound.
    """
    if command.user_id == caller.id:
        raise NotAllowed("Another administrator has to ban you")
    user = await change_ban(stores.db, command.user_id, now_ms, command.reason.replace("\0", ""))
    if user is None:
        raise UserNotFound
    # The user's row is locked: a sign-in that came first has committed, and its session is among these.
    ended = await end_all_sessions(stores.db, user.user_id, now_ms, "banned")
    return Outcome(reply=to_user(user), events=announce_ends(user.user_id, ended, "banned"))
