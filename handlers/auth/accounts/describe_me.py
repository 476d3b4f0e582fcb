"""Say who you are: name, a few words, language, time zone."""

from functools import cache
from zoneinfo import available_timezones

from handlers.auth.rules import check_display_name
from handlers.auth.sessions import to_user
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import DescribeMe
from protocols.auth.refusals import UserNotFound
from protocols.errors import InvalidInput
from protocols.labels import check_lines
from storage.auth.users_postgres import describe_user


async def describe_me(
    command: DescribeMe,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - no instant is kept
) -> Outcome:
    """Change what is given. Raises InvalidInput, UserNotFound."""
    name = None if command.display_name is None else check_display_name(command.display_name)
    if command.time_zone is not None and command.time_zone not in _time_zones():
        pointer = [{"pointer": "/time_zone", "detail": "not a time zone such as Africa/Cairo"}]
        raise InvalidInput("There is no such time zone", errors=pointer)
    user = await describe_user(
        stores.db,
        caller.id,
        display_name=name,
        bio=None if command.bio is None else check_lines(command.bio, "/bio", "A bio"),
        locale=command.locale,
        time_zone=command.time_zone,
    )
    if user is None:
        raise UserNotFound
    return Outcome(to_user(user))


@cache
def _time_zones() -> frozenset[str]:
    """Return the names of all time zones; the first call reads a folder of six hundred files."""
    return frozenset(available_timezones())
