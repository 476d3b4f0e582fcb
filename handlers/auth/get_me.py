"""Who is signed in."""

from handlers.auth.sessions import to_user
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import GetMe
from protocols.auth.refusals import UserNotFound
from storage.auth.users_postgres import read_user


async def get_me(_command: GetMe, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the caller's account.

    Raises: UserNotFound.
    """
    user = await read_user(stores.db, caller.id)
    if user is None:
        raise UserNotFound
    return Outcome(reply=to_user(user))
