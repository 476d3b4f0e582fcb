"""Give an account roles from the command line: the way the first administrator is made."""

from collections.abc import Sequence

from handlers.auth import ROUTES as AUTH_ROUTES
from handlers.auth.rules import normalise_email
from handlers.auth.set_roles import set_roles
from handlers.contract import Caller
from protocols.auth.commands import SetRoles
from protocols.auth.refusals import UserNotFound
from protocols.values import new_id
from server.commands.pipeline import Pipeline
from storage.auth.users_postgres import read_user_by_email
from storage.engines.postgres import open_database
from storage.engines.redis import open_redis
from storage.platform.events_postgres import read_epoch

_SET_ROLES = next(route for route in AUTH_ROUTES if route.function is set_roles)
ROLES = frozenset({"user", "support", "finance", "admin"})
"""What can be given; `user` alone takes the others away."""

_OPERATOR = Caller(user_id=new_id(), roles=frozenset({"admin"}))
"""Whoever can reach the database may do this; the id is nobody's."""


async def grant(postgres_url: str, redis_url: str, email: str, roles: Sequence[str]) -> str:
    """Replace the roles of the account with this address through `auth.set_roles`; return a sentence.

    Raises: UserNotFound; OSError and driver errors when the database is away.
    """
    database = await open_database(postgres_url, size_max=1)
    redis = open_redis(redis_url)
    try:
        async with database.connection() as db:
            user = await read_user_by_email(db, normalise_email(email))
            epoch = await read_epoch(db)
        if user is None:
            raise UserNotFound(f"nobody is registered as {email}")
        pipeline = Pipeline(database, redis, epoch, lambda _: None, [_SET_ROLES])
        await pipeline.run(_SET_ROLES, SetRoles(user_id=user.user_id, roles=list(roles)), _OPERATOR)  # type: ignore[arg-type]
    finally:
        await redis.aclose()
        await database.close()
    held = ", ".join(sorted({"user", *roles}))
    return f"{email} now has the roles {held}; tokens with the old ones end within a second"
