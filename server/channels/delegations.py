"""Channel permissions with a token in hand: what its issuer may follow now, to look at and nothing else.

Source: decisions 0033, 0035. Both doors ask here; without a token it is `ChannelPermissions` alone.
"""

from dataclasses import replace
from functools import partial

from handlers.auth.scope_tokens import ScopeVerifier
from handlers.contract import Caller
from realtime.ports import ChannelRule, Delegation
from server.channels.permissions import ChannelPermissions


class DelegatedPermissions:
    """The channel rules, and what scope tokens lend."""

    def __init__(self, rules: ChannelPermissions, scopes: ScopeVerifier) -> None:
        """Join the two."""
        self._rules, self._scopes = rules, scopes
        self.kinds = rules.kinds

    async def authorize(self, caller: Caller, channel: str, token: str = "") -> ChannelRule:
        """Return how the channel behaves for the caller, or for whoever shows the token.

        Raises: UnknownChannel, NotAllowed, TokenInvalid, TokenExpired, SessionOver, ScopeTokenOver,
        TemporarilyUnavailable; the rule's grant raises TokenExpired, SessionOver and ScopeTokenOver.
        """
        if not token:
            return await self._rules.authorize(caller, channel)
        scope = await self._scopes.verify_scope_token(token)
        scope.check(channel, self.kinds)
        issuer = scope.caller
        rule = await self._rules.authorize(issuer, channel)
        confirm = partial(self._scopes.confirm, scope)
        grant = Delegation(str(issuer.user_id), str(issuer.session_id), str(scope.token_id), confirm)
        return replace(
            rule,
            publish=False,
            presence=False,
            join_leave=False,
            expires_at_s=scope.expires_at_s,
            grant=grant,
        )
