"""Let a banned account back in."""

from handlers.auth.sessions import to_user
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import UnbanUser
from protocols.auth.refusals import UserNotFound
from storage.auth.users_postgres import change_ban


async def unban_user(command: UnbanUser, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Lift the ban; ended sessions stay ended.

    Raises: UserNotFound.
    """
    user = await change_ban(stores.db, command.user_id, None, "")
    if user is None:
        raise UserNotFound
    return Outcome(reply=to_user(user))
