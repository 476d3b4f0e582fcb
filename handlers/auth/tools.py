"""The keys and the hasher behind `Stores.auth`: one object per process."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from handlers.auth.keys import KeyRing, load_refresh_keys
from handlers.auth.passwords import PasswordHasher
from handlers.auth.scope_tokens import ScopeSigner
from handlers.auth.tokens import RefreshTokens, TokenSigner
from handlers.contract import Caller


class KeyedAuthTools:
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
        self.hasher = hasher or PasswordHasher()
        self.keys = KeyRing(folder)
        self._access = TokenSigner(self.keys, issuer, access_token_s)
        self._scopes = ScopeSigner(self.keys, issuer)
        self._refresh = RefreshTokens(load_refresh_keys(folder))

    async def hash_password(self, password: str) -> str:
        """See `AuthTools`."""
        return await self.hasher.hash(password)

    async def check_password(self, password: str, password_hash: str | None) -> bool:
        """See `AuthTools`."""
        return await self.hasher.check(password, password_hash)

    def sign_access_token(
        self, caller: Caller, access_version: int, now_ms: int, ends_at_ms: int
    ) -> tuple[str, int]:
        """See `AuthTools`."""
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
        """See `AuthTools`."""
        return self._scopes.sign(token_id, issuer, access_version, channels, now_ms, ends_at_ms)

    def sign_refresh_token(self, session_id: UUID, counter: int) -> str:
        """See `AuthTools`."""
        return self._refresh.sign(session_id, counter)

    def read_refresh_token(self, token: str) -> tuple[UUID, int]:
        """See `AuthTools`."""
        return self._refresh.read(token)

    def close(self) -> None:
        """Stop the hasher's threads."""
        self.hasher.close()
