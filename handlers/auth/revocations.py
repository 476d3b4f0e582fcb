"""Which sessions and scope tokens have ended: known in every process within a second, without asking at each request.

Each process reads, four times a second, what transactions took away since it last looked. Nobody has to tell it, so
no crash can keep it in the dark; when it cannot look, it stops trusting tokens. A process with a socket of that user
hears it from the user's personal channel too, and looks at once. Source: decision 0010.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from protocols.errors import Refusal
from protocols.values import now_instant
from storage.auth.sessions_postgres import Revocation, read_revocations
from storage.engines.postgres import Database

INTERVAL_S = 0.25
"""Between two looks: one small query each, whatever the traffic."""

FRESH_S = 0.9
"""For how long a look is good; a token checked later waits for the next one. Promised is one second."""

CLOCKS_APART_MS = 60_000
"""How far the clocks of two of our machines may differ before a token could outlive what we remember of its end."""

HINT_WAIT_S = 0.02
"""Between a hint and its look: the answer of the command that ended the session leaves first, and hints share looks."""

PRUNE_EVERY_S = 60.0

_TELLING = (b'{"type":"session_ended"', b'{"type":"access_changed"', b'{"type":"scope_token_revoked"')

OnRevoked = Callable[[Sequence[Revocation]], None]
"""Called on the event loop with revocations this process had not seen: close their sockets, or check them again."""

_log = structlog.get_logger()


def tells_of_access(publication: bytes) -> bool:
    """Whether a publication of a personal channel says that access was taken away: a reason to look."""
    return publication.startswith(_TELLING)


class RevocationWatch:
    """What this process knows of ended sessions and changed roles, for as long as older tokens live."""

    def __init__(
        self, database: Database, access_token_s: int, on_revoked: OnRevoked = lambda _: None
    ) -> None:
        """Prepare; `start` looks for the first time."""
        self._database = database
        self._keep_ms = access_token_s * 1000 + CLOCKS_APART_MS
        self.on_revoked = on_revoked
        self._ended: dict[UUID, int] = {}
        self._ended_tokens: dict[UUID, int] = {}
        self._versions: dict[UUID, tuple[int, int]] = {}
        self._horizon = 0
        self._looked_at = float("-inf")
        self._pruned_at = time.monotonic()
        self._look: asyncio.Task[None] | None = None
        self._hinted = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Learn what ended lately and begin to watch. Raises TemporarilyUnavailable when the database is away."""
        await self.refresh()
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="session-watch")

    async def close(self) -> None:
        """Stop watching."""
        tasks = [task for task in (self._worker, self._look) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_fresh(self) -> bool:
        """Whether the last look is young enough to judge a token by."""
        return time.monotonic() - self._looked_at < FRESH_S

    def has_ended(self, session_id: UUID | None) -> bool:
        """Whether the session is known to have ended while tokens of it may live."""
        return session_id in self._ended

    def has_token_ended(self, token_id: UUID) -> bool:
        """Whether the scope token is known to have been taken back lately."""
        return token_id in self._ended_tokens

    def access_version(self, user_id: UUID | None) -> int:
        """Return the least access version a token of this user must have; 0 when nothing changed lately."""
        found = self._versions.get(user_id) if user_id is not None else None
        return found[0] if found else 0

    def hint(self) -> None:
        """Look soon rather than at the next tick; nothing depends on it."""
        self._hinted.set()

    async def refresh(self) -> None:
        """Look now; callers share one look. Raises TemporarilyUnavailable."""
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().create_task(self._read(), name="session-watch-look")
        await asyncio.shield(self._look)

    async def _read(self) -> None:
        begun = time.monotonic()
        now_ms = now_instant()
        async with self._database.connection() as db:
            self._horizon, found = await read_revocations(db, self._horizon, now_ms - self._keep_ms)
        self._looked_at = begun
        news = [revocation for revocation in found if self._learn(revocation)]
        if begun - self._pruned_at > PRUNE_EVERY_S:
            self._pruned_at = begun
            self._prune(now_ms - self._keep_ms)
        if news:
            self.on_revoked(news)

    def _learn(self, revocation: Revocation) -> bool:
        """Remember a revocation; False when it was known."""
        for ended_id, ended in (
            (revocation.session_id, self._ended),
            (revocation.token_id, self._ended_tokens),
        ):
            if ended_id is not None:
                is_news = ended_id not in ended
                ended[ended_id] = revocation.at_ms
                return is_news
        if self.access_version(revocation.user_id) >= revocation.access_version:
            return False
        self._versions[revocation.user_id] = (revocation.access_version, revocation.at_ms)
        return True

    def _prune(self, before_ms: int) -> None:
        """Forget what no living token can have."""
        self._ended = {session: at_ms for session, at_ms in self._ended.items() if at_ms > before_ms}
        self._ended_tokens = {
            token: at_ms for token, at_ms in self._ended_tokens.items() if at_ms > before_ms
        }
        self._versions = {user: known for user, known in self._versions.items() if known[1] > before_ms}

    async def _work(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._hinted.wait()
                    await asyncio.sleep(HINT_WAIT_S)
            self._hinted.clear()
            try:
                await self.refresh()
            except Refusal as refusal:
                _log.warning("session_watch_blind", error=refusal.code)
            except Exception:  # noqa: BLE001 - tokens wait for the next look; the watch itself must not end
                _log.exception("session_watch_failed")
