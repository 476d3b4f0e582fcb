"""Subscriptions that rest on another account's token, found by that account, its session and the token.

Whoever shows a scope token follows a channel with the rights of the token's issuer. When the issuer loses access, or
takes the token back, these subscriptions end in every process. Source: decisions 0033, 0035.
"""

from typing import NamedTuple

from realtime.members import Member
from realtime.ports import Delegation


class _Subscription(NamedTuple):
    member: Member
    channel: str


class DelegationIndex:
    """The delegated subscriptions of one process; adding and removing one costs three set operations."""

    def __init__(self) -> None:
        """Start empty."""
        self._subscriptions: dict[tuple[str, str], set[_Subscription]] = {}
        """By what they rest on: `("user", id)`, `("session", id)`, `("token", id)`."""

    def add(self, delegation: Delegation, member: Member, channel: str) -> None:
        """The member's subscription of the channel rests on this delegation."""
        subscription = _Subscription(member, channel)
        for key in _keys(delegation):
            self._subscriptions.setdefault(key, set()).add(subscription)

    def discard(self, delegation: Delegation, member: Member, channel: str) -> None:
        """The subscription ended, or rests on another delegation now."""
        subscription = _Subscription(member, channel)
        for key in _keys(delegation):
            found = self._subscriptions[key]
            found.discard(subscription)
            if not found:
                del self._subscriptions[key]

    def members_by_user(self, user: str, channel: str) -> list[Member]:
        """Return the members that follow the channel by a token of this user."""
        return [
            found.member for found in self._subscriptions.get(("user", user), ()) if found.channel == channel
        ]

    def end_of_user(self, user: str, code: int, reason: str) -> None:
        """Unsubscribe everybody who follows a channel by a token of this user."""
        self._end(("user", user), code, reason)

    def end_of_session(self, session: str, code: int, reason: str) -> None:
        """Unsubscribe everybody who follows a channel by a token made in this session."""
        self._end(("session", session), code, reason)

    def end_of_token(self, token: str, code: int, reason: str) -> None:
        """Unsubscribe everybody who follows a channel by this token."""
        self._end(("token", token), code, reason)

    def _end(self, key: tuple[str, str], code: int, reason: str) -> None:
        for member, channel in list(self._subscriptions.get(key, ())):
            member.unsubscribe_by_server(channel, code, reason)


def _keys(delegation: Delegation) -> tuple[tuple[str, str], ...]:
    return ("user", delegation.user), ("session", delegation.session), ("token", delegation.token)
