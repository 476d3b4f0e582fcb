"""Whether an engine can be used, asked once and before anything is opened on it."""

import asyncpg
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from storage.engines.postgres import OUTAGE as POSTGRES_OUTAGE
from storage.engines.redis import OUTAGE as REDIS_OUTAGE
from storage.engines.redis import open_redis

CONNECT_TIMEOUT_S = 5.0


_MAY_PASS = ("MISCONF", "OOM", "READONLY", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")
"""How refusals of Redis begin that are about its state: a full disk, a start or a failover under way."""


class NotReadyError(Exception):
    """The engine cannot be used now, and may be later; the message holds the driver's words."""


class RefusedError(Exception):
    """The engine, or the URL, will not do however often it is tried; the message holds the driver's words."""


async def probe_postgres(url: str) -> None:
    """Connect and look for the tables. Raises NotReadyError, RefusedError."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
        try:
            is_migrated = await connection.fetchval("SELECT to_regclass('database_epoch') IS NOT NULL")
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
    except (asyncpg.InvalidAuthorizationSpecificationError, ValueError) as error:
        raise RefusedError(f"{type(error).__name__}: {error}") from error
    except (*POSTGRES_OUTAGE, asyncpg.PostgresError) as error:
        raise NotReadyError(f"{type(error).__name__}: {error}") from error
    if not is_migrated:
        raise NotReadyError("the database has no tables yet; `./mnbara migrate` makes them")


async def probe_redis(url: str) -> None:
    """Connect and ping. Raises NotReadyError, RefusedError."""
    try:
        client = open_redis(url)
    except (ValueError, RedisError) as error:
        raise RefusedError(f"{type(error).__name__}: {error}") from error
    try:
        await client.execute_command("PING")
    except (*REDIS_OUTAGE, ResponseError) as error:
        told = error.__cause__ or error  # the driver wraps what the server answers to its greeting
        is_refused = isinstance(told, AuthenticationError | ResponseError) and not str(told).startswith(
            _MAY_PASS
        )
        kind = RefusedError if is_refused else NotReadyError
        raise kind(f"{type(told).__name__}: {told}") from error
    finally:
        await client.aclose()
