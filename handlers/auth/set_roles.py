"""Give an account roles; tokens with the old ones are refused within a second."""

from handlers.auth.sessions import to_user
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auth.commands import AccessChanged, SetRoles
from protocols.auth.refusals import UserNotFound
from protocols.errors import NotAllowed
from protocols.topics import personal_channel
from storage.auth.users_postgres import change_roles


async def set_roles(command: SetRoles, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Replace the roles. Sessions live on: their next refresh gives a token with the new roles.

    Raises: NotAllowed for one's own account, UserNotFound.
    """
    if command.user_id == caller.id:
        raise NotAllowed("Another administrator has to change your roles")
    roles = frozenset(command.roles) | {"user"}
    user = await change_roles(stores.db, command.user_id, roles, now_ms)
    if user is None:
        raise UserNotFound
    changed = Event(personal_channel(user.user_id), "access_changed", AccessChanged(roles=sorted(user.roles)))
    return Outcome(reply=to_user(user), events=[changed])
