"""Let a provider sign the caller in no more."""

from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auth.providers import (
    IdentityNotFound,
    IdentityUnlinked,
    LastWayIn,
    UnlinkIdentity,
)
from protocols.auth.refusals import UserNotFound
from protocols.topics import personal_channel
from storage.auth.identities_postgres import delete_identity, list_identities
from storage.auth.users_postgres import lock_user


async def unlink_identity(
    command: UnlinkIdentity,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - the event carries its time
) -> Outcome:
    """Forget an identity of the caller's; their sessions go on. Raises IdentityNotFound, LastWayIn, UserNotFound."""
    user = await lock_user(stores.db, caller.id)  # two at once would leave none
    if user is None:
        raise UserNotFound
    if not await delete_identity(stores.db, command.identity_id, caller.id):
        raise IdentityNotFound
    if not user.password_set and not await list_identities(stores.db, caller.id):
        raise LastWayIn
    unlinked = IdentityUnlinked(identity_id=command.identity_id)
    return Outcome(None, events=[Event(personal_channel(caller.id), "identity_unlinked", unlinked)])
