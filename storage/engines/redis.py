"""Redis: one client per process, short timeouts, drivers' errors translated into faults."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from protocols.errors import TemporarilyUnavailable

__all__ = ["OUTAGE", "Redis", "open_redis", "ping_redis"]

CONNECT_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 1.0

OUTAGE = (RedisConnectionError, RedisTimeoutError, OSError)
"""What the driver raises when the server is away."""


def open_redis(redis_url: str) -> Redis:
    """Return a client; it connects at first use and again after an outage."""
    client: Redis = Redis.from_url(
        redis_url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        max_connections=64,
    )
    return client


async def ping_redis(client: Redis) -> None:
    """Raises TemporarilyUnavailable unless the server answers."""
    try:
        await client.execute_command("PING")
    except OUTAGE as error:
        raise TemporarilyUnavailable("Redis is out of reach") from error
