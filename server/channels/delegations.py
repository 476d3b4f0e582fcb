"""Channel permissions of whoever shows a scope token: its issuer's, for reading only. Source: decisions 0033, 0035.

Subscribes over sockets and `GET /v1/channels/…/events` ask here. Without a token `ChannelPermissions` alone decides.
"""

from dataclasses import replace
from functools import partial

from handlers.auth.scope_tokens import ScopeVerifier
from handlers.contract import Caller
from realtime.ports import ChannelRule, Delegation
from server.channels.permissions import ChannelPermissions


class DelegatedPermissions:
    """Channel rules for callers and for scope tokens."""

    def __init__(self, rules: ChannelPermissions, scopes: ScopeVerifier) -> None:
        """Join the two."""
        self._rules, self._scopes = rules, scopes
        self.kinds = rules.kinds

    async def authorize(self, caller: Caller, channel: str, token: str = "") -> ChannelRule:
        """Return how the channel behaves for the caller, or for whoever shows the token.

        Raises: UnknownChannel, NotAllowed, TokenInvalid, TokenExpired, SessionOver, ScopeTokenOver,
        TemporarilyUnavailable. The rule's delegation raises TokenExpired, SessionOver and ScopeTokenOver.
        """
        if not token:
            return await self._rules.authorize(caller, channel)
        scope = await self._scopes.verify_scope_token(token)
        scope.check(channel, self.kinds)
        issuer = scope.caller
        rule = await self._rules.authorize(issuer, channel)
        confirm = partial(self._scopes.confirm, scope)
        delegation = Delegation(str(issuer.user_id), str(issuer.session_id), str(scope.token_id), confirm)
        return replace(
            rule,
            publish=False,
            presence=False,
            join_leave=False,
            expires_at_s=scope.expires_at_s,
            delegation=delegation,
        )
