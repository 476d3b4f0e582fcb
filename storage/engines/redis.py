"""Redis: one client per process, short timeouts, drivers' errors translated into faults."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from protocols.errors import TemporarilyUnavailable

__all__ = ["OUTAGE", "Redis", "open_redis", "ping_redis"]

CONNECT_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 1.0

CONNECTIONS_MAX = 64
"""Connections per process. More commands at a time wait for one: a burst must not look like an outage, for a limit
that is lifted when Redis is away would then be lifted by whoever sends enough at once."""

OUTAGE = (RedisConnectionError, RedisTimeoutError, ResponseError, OSError)
"""What the driver raises when the server is away or refuses to work: its disk or memory is full (MISCONF, OOM), it is a
replica by now (READONLY). Nothing in Redis is needed, so every refusal is met like an outage."""


def open_redis(redis_url: str) -> Redis:
    """Return a client; it connects at first use and again after an outage."""
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=CONNECTIONS_MAX,
        timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
    )
    client: Redis = Redis.from_pool(pool)
    return client


async def ping_redis(client: Redis) -> None:
    """Raises TemporarilyUnavailable unless the server answers."""
    try:
        await client.execute_command("PING")
    except OUTAGE as error:
        raise TemporarilyUnavailable("Redis is out of reach") from error
