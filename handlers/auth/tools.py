"""The keys and the password hasher of the auth domain: one object per process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from handlers.auth.keys import KeyRing, load_refresh_keys
from handlers.auth.passwords import PasswordHasher
from handlers.auth.rules import PasswordFit, normalise_password
from handlers.auth.scope_tokens import ScopeSigner
from handlers.auth.tokens import RefreshTokens, TokenSigner
from handlers.contract import Caller
from handlers.domain import ToolContext


class AuthTools:
    """Real keys from a folder, real argon2id."""

    def __init__(
        self,
        folder: Path,
        issuer: str,
        access_token_s: int,
        *,
        hasher: PasswordHasher | None = None,
        limit_attempts: bool = True,
    ) -> None:
        """Read the keys, making them at the very first start. Raises KeyFileError."""
        self.limit_attempts = limit_attempts
        self.url = issuer
        """Where people reach the market; also who signs."""
        self.hasher = hasher or PasswordHasher()
        self.keys = KeyRing(folder)
        self._access = TokenSigner(self.keys, issuer, access_token_s)
        self._scopes = ScopeSigner(self.keys, issuer)
        self._refresh = RefreshTokens(load_refresh_keys(folder))

    async def hash_password(self, password: str) -> str:
        """Return the hash to store. Raises TemporarilyUnavailable when too many wait."""
        return await self.hasher.hash(normalise_password(password))

    async def check_password(self, password: str, password_hash: str | None) -> PasswordFit:
        """Return how it matches. Its cost is that of the password alone: None (no such account) costs the same.

        Raises: TemporarilyUnavailable.
        """
        composed = normalise_password(password)
        if await self.hasher.check(composed, password_hash):
            return PasswordFit.YES
        if composed != password and await self.hasher.check(password, password_hash):
            return PasswordFit.AS_SENT
        return PasswordFit.NO

    def sign_access_token(
        self, caller: Caller, access_version: int, now_ms: int, ends_at_ms: int
    ) -> tuple[str, int]:
        """Return an access token that expires by `ends_at_ms` at the latest, and its life in seconds."""
        return self._access.sign(caller, access_version, now_ms, ends_at_ms)

    def sign_scope_token(
        self,
        token_id: UUID,
        issuer: Caller,
        access_version: int,
        channels: Sequence[str],
        now_ms: int,
        ends_at_ms: int,
    ) -> str:
        """Return a token that lends what its issuer may follow of these channels."""
        return self._scopes.sign(token_id, issuer, access_version, channels, now_ms, ends_at_ms)

    def sign_refresh_token(self, session_id: UUID, counter: int) -> str:
        """Return the refresh token of a session at a counter; the same input gives the same token."""
        return self._refresh.sign(session_id, counter)

    def read_refresh_token(self, token: str) -> tuple[UUID, int]:
        """Return session and counter of a refresh token of ours. Raises TokenInvalid."""
        return self._refresh.read(token)

    def close(self) -> None:
        """Stop the hasher's threads."""
        self.hasher.close()


@asynccontextmanager
async def open_auth_tools(context: ToolContext) -> AsyncIterator[AuthTools]:
    """Read the keys of this installation, making them at the very first start. Raises KeyFileError."""
    settings = context.settings
    tools = AuthTools(
        settings.secrets_folder, settings.url, settings.access_token_s, limit_attempts=settings.rate_limits
    )
    try:
        yield tools
    finally:
        tools.close()
