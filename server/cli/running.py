"""The engines of the running system, for verbs that work on them: found, and asked before anything is opened."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import asyncpg

from handlers.settings import Settings, SettingsError
from protocols.errors import Fault
from server.local.engines import LocalEngines
from server.local.up import UpError
from storage.engines.probes import NotReadyError, RefusedError, probe_postgres, probe_redis

T = TypeVar("T")


def find_postgres(settings: Settings) -> str:
    """Return the URL of the PostgreSQL that the system uses, which answers.

    Raises: UpError when it cannot be used now, SettingsError when the setting will not do.
    """
    private = LocalEngines(settings.home)
    if not settings.postgres_url and not private.postgres_answers():
        raise UpError("nothing runs here; start the system with ./mnbara up first")
    url = settings.postgres_url or private.postgres_url("mnbara")
    _ask(probe_postgres(url), "PostgreSQL", "MNBARA_POSTGRES_URL")
    return url


def find_redis(settings: Settings) -> str:
    """Return the URL of the Redis that the system uses, which answers. Raises as `find_postgres`."""
    url = settings.redis_url or LocalEngines(settings.home).redis_url()
    _ask(probe_redis(url), "Redis", "MNBARA_REDIS_URL")
    return url


def run_on_engines(work: Coroutine[object, object, T]) -> T:
    """Run what asks the engines. Raises UpError when one is lost meanwhile."""
    try:
        return asyncio.run(work)
    except (Fault, OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        told = error.detail if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
        raise UpError(f"an engine was lost on the way ({told}); run this again") from None


def _ask(probe: Coroutine[object, object, None], engine: str, setting: str) -> None:
    try:
        asyncio.run(probe)
    except RefusedError as error:
        raise SettingsError(f"{setting} does not open {engine}: {error}") from None
    except NotReadyError as error:
        raise UpError(f"{engine} cannot be used ({error}); start it, or set {setting}") from None
