"""What everybody may know of somebody."""

from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import Badge, GetProfile, Profile
from protocols.auth.refusals import UserNotFound
from protocols.values import to_timestamp
from storage.auth.users_postgres import read_user


async def get_profile(
    command: GetProfile,
    caller: Caller,  # noqa: ARG001 - the same for everybody
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return name, words and badges; never the address. Raises UserNotFound."""
    user = await read_user(stores.db, command.user_id)
    if user is None:
        raise UserNotFound
    badges: list[Badge] = ["email_verified"] if user.email_verified_at_ms is not None else []
    return Outcome(
        Profile(
            id=user.user_id,
            display_name=user.display_name,
            bio=user.bio,
            member_since=to_timestamp(user.created_at_ms),
            rating=None,
            badges=badges,
        )
    )
