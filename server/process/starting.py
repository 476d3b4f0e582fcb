"""Before a process opens anything: are the engines that it cannot start without there?

They may come later than we do: an orchestrator starts everything at once, in any order. So each is tried again for a
bounded time. NATS is not among them: a process starts and serves without it (`storage/engines/nats.py`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from handlers.settings import Settings, SettingsError
from storage.engines.probes import NotReadyError, RefusedError, probe_postgres, probe_redis

ENGINES_WAIT_S = 45.0
"""How long engines may take; less than a supervisor gives a process until its first beat. Who gave up is restarted."""

RETRY_S = 0.5

_log = structlog.get_logger()


class StartError(Exception):
    """The process cannot start now; the message names what is missing, its setting and what to do."""


async def await_engines(settings: Settings) -> None:
    """Return once PostgreSQL and Redis can be used.

    Raises: SettingsError when a URL is missing or was refused, StartError after ENGINES_WAIT_S.
    """
    for name in ("postgres_url", "redis_url", "nats_url"):
        if not getattr(settings, name):
            raise SettingsError(
                f"MNBARA_{name.upper()} is not set; `./mnbara up` runs private engines and sets it for its processes"
            )
    deadline = time.monotonic() + ENGINES_WAIT_S
    outcomes = await asyncio.gather(
        _await_engine("PostgreSQL", "MNBARA_POSTGRES_URL", probe_postgres, settings.postgres_url, deadline),
        _await_engine("Redis", "MNBARA_REDIS_URL", probe_redis, settings.redis_url, deadline),
        return_exceptions=True,
    )
    failures = [outcome for outcome in outcomes if outcome is not None]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, StartError)):
        raise failure


async def _await_engine(
    name: str, setting: str, probe: Callable[[str], Awaitable[None]], url: str, deadline: float
) -> None:
    last = ""
    while True:
        try:
            await probe(url)
        except RefusedError as error:
            raise SettingsError(f"{setting} does not open {name}: {error}") from error
        except NotReadyError as error:
            if str(error) != last:
                _log.warning("engine_not_ready", engine=name, setting=setting, error=str(error))
            last = str(error)
            if time.monotonic() > deadline:
                raise StartError(
                    f"{name} was not ready within {ENGINES_WAIT_S:.0f} s ({error}); start it, or set {setting}"
                ) from error
        else:
            return
        await asyncio.sleep(RETRY_S)
