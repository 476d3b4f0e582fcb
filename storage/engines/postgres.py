"""PostgreSQL: one pool per process, short transactions, drivers' errors translated into faults.

A fault leaves within `ACQUIRE_TIMEOUT_S + COMMAND_TIMEOUT_S`, so a caller hears of a lost database within two seconds.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
import structlog

from protocols.errors import TemporarilyUnavailable

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "PoolConnectionProxy[Record]"
"""A pooled connection; inside `transaction()` it is the transaction."""

POOL_SIZE_MAX = 12
"""Connections per process: 2 cores keep fewer busy; the rest waits for commits."""

ACQUIRE_TIMEOUT_S = 1.0
COMMAND_TIMEOUT_S = 1.5
"""Above the slowest command (a batch of 1,000 bids takes about 50 ms), below the two seconds promised to callers."""

RETRIES = 3
"""How often a transaction that lost a serialisation or deadlock race is run again."""

SPACE_SHOWN_S = 10.0
"""How long a write that found no space is shown as degraded: who writes meanwhile finds out anew."""

OUTAGE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.exceptions.InternalClientError,
)
"""What the driver raises when the server is away, full, or shutting down."""

RACE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""What the server raises when a transaction lost a race and should simply run again."""

_log = structlog.get_logger()


class Database:
    """The pool of one process."""

    def __init__(self, pool: "asyncpg.Pool[Record]") -> None:
        """Wrap an open pool; `open_database` makes one."""
        self.pool = pool
        self._refused_space_at = -SPACE_SHOWN_S

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection for queries. Raises TemporarilyUnavailable when there is none or it is lost."""
        try:
            connection = await self.pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except OUTAGE as error:
            raise unavailable(error) from error
        try:
            yield connection
        except OUTAGE as error:
            # asking a server that stands still to cancel would take as long again
            with contextlib.suppress(asyncpg.InterfaceError):  # a connection that was lost has left the pool
                connection.terminate()
            if isinstance(error, asyncpg.DiskFullError):
                self._refused_space_at = time.monotonic()
            raise unavailable(error) from error
        finally:
            await self.pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a transaction: committed when the block ends, rolled back when it raises.

        Raises: TemporarilyUnavailable; when it came from the commit itself the outcome is unknown, and only a repeat
        with the same idempotency key is safe.
        """
        async with self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
            except OUTAGE:
                raise  # the connection is ended, and the server rolls back
            except BaseException:
                await transaction.rollback()
                raise
            else:
                await transaction.commit()

    async def ping(self) -> None:
        """Raises TemporarilyUnavailable unless the server answers."""
        async with self.connection() as connection:
            await connection.fetchval("SELECT 1")

    async def check_space(self) -> None:
        """Raises TemporarilyUnavailable while PostgreSQL has refused a write for want of space a moment ago."""
        if time.monotonic() - self._refused_space_at < SPACE_SHOWN_S:
            raise TemporarilyUnavailable("The database's disk is full")

    async def close(self) -> None:
        """Give the connections back; at most five seconds."""
        try:
            await asyncio.wait_for(self.pool.close(), 5)
        except TimeoutError:
            self.pool.terminate()


def unavailable(error: BaseException) -> TemporarilyUnavailable:
    """Return the fault for a driver's error, logged with its cause (never shown to callers)."""
    _log.warning("postgres_unavailable", error=f"{type(error).__name__}: {error}")
    return TemporarilyUnavailable("The database is out of reach; try again with the same key")


async def _leave_as_it_is(_connection: "asyncpg.Connection[Record]") -> None:
    """Reset nothing when a connection goes back: a round trip, as long as most queries, for nothing.

    The driver itself has rolled back what was open. Everything else we set ends with its transaction: settings are
    local (`set_config(…, true)`), advisory locks are of transactions, there are no cursors or temporary tables. Who
    listens keeps its connection.
    """


async def open_database(postgres_url: str, *, size_max: int = POOL_SIZE_MAX) -> Database:
    """Return an open database. Raises the driver's error when it cannot be reached: a process that starts says so."""
    pool = await asyncpg.create_pool(
        postgres_url,
        min_size=1,
        max_size=size_max,
        command_timeout=COMMAND_TIMEOUT_S,
        timeout=ACQUIRE_TIMEOUT_S,
        max_inactive_connection_lifetime=300,
        reset=_leave_as_it_is,
        server_settings={"application_name": "mnbara", "timezone": "UTC", "jit": "off"},
    )
    return Database(pool)
