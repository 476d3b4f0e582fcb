"""From a socket into the application: who connects, what they may follow, which command they call.

`realtime.ports.Gate`, made of the token verifier, the channel rules and the command table. Refusals become the
protocol's own codes where it has them: 109 for an expired token (the client fetches a new one), 3500 for a bad one (it
stops), 102 and 103 for channels.
"""

from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from handlers.contract import ANONYMOUS, Caller
from protocols.auth import ScopeTokenOver, SessionOver, TokenExpired, TokenInvalid
from protocols.errors import Fault, NotAllowed, Refusal, UnknownChannel
from protocols.topics import personal_channel
from realtime.ports import (
    ChannelRule,
    ConnectRequestContext,
    DisconnectError,
    Grant,
    Identity,
    PendingReply,
    ProtocolError,
)
from server.commands import CommandTable
from server.scopes import ScopedRules

INVALID_TOKEN = 3500
TOKEN_EXPIRED = 109


@dataclass(slots=True)
class Principal(Identity):
    """An identity and the caller its commands run as."""

    caller: Caller = ANONYMOUS
    confirm: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class CheckedToken:
    """Whom a good access token names, and until when."""

    caller: Caller
    expires_at_s: int
    confirm: Callable[[], None]
    """Raises a refusal of the auth domain when the token is good no more."""


CheckToken = Callable[[str], Awaitable[CheckedToken]]
"""Raises refusals of the auth domain, or a Fault."""


class AppGate:
    """The gate of one server process."""

    def __init__(self, check_token: CheckToken, rules: ScopedRules, commands: CommandTable) -> None:
        """Join the three."""
        self._check_token = check_token
        self._rules = rules
        self._commands = commands

    async def authenticate(self, token: str, context: ConnectRequestContext) -> Identity:
        """Return whom the token names; no token is anonymous."""
        if not token:
            return Principal(caller=Caller(remote_ip=context.remote_ip))
        with _as_protocol():
            checked = await self._check_token(token)
        caller = replace(checked.caller, remote_ip=context.remote_ip)
        return Principal(
            user=str(caller.user_id),
            session=str(caller.session_id),
            roles=caller.roles,
            expires_at_s=checked.expires_at_s,
            caller=caller,
            confirm=checked.confirm,
        )

    def confirm(self, identity: Identity) -> None:
        """Let a connection open if its token is still good."""
        assert isinstance(identity, Principal), "identities of this gate come from its authenticate"
        if identity.confirm is not None:
            with _as_protocol():
                identity.confirm()

    async def authorize(self, identity: Identity, channel: str, token: str = "") -> ChannelRule:
        """Return how the channel behaves for this identity, or for whoever shows this scope token."""
        with _as_refused_channel():
            rule = await self._rules.authorize(_caller_of(identity), channel, token)
        if rule.grant is None:
            return rule
        return replace(rule, grant=replace(rule.grant, confirm=partial(_confirm, rule.grant)))

    async def publish(self, identity: Identity, channel: str, data: bytes, info: bytes) -> None:  # noqa: ARG002
        """Refuse: clients call commands, and only their events are published. Raises ProtocolError 103."""
        raise ProtocolError(103, "permission denied")

    def personal_channels(self, identity: Identity) -> Sequence[str]:
        """Return the personal channel of a signed-in user."""
        user_id = _caller_of(identity).user_id
        return () if user_id is None else (personal_channel(user_id),)

    def call(self, identity: Identity, method: str, data: bytes) -> "bytes | PendingReply | Future[bytes]":
        """Run an RPC as the identity's caller."""
        caller = _caller_of(identity)
        return self._commands.call(method, data, caller)


@contextmanager
def _as_protocol() -> Iterator[None]:
    """Turn a refused token into the protocol's own words."""
    try:
        yield
    except TokenExpired as expired:
        raise ProtocolError(TOKEN_EXPIRED, "token expired") from expired
    except Fault as fault:
        raise ProtocolError(100, fault.detail, temporary=True) from fault
    except Refusal as refusal:
        raise DisconnectError(INVALID_TOKEN, "invalid token") from refusal


@contextmanager
def _as_refused_channel() -> Iterator[None]:
    """Turn a channel, or a token for it, that was refused into the protocol's own words.

    A token that is over is "expired", whatever ended it: the client drops it and asks its app for another.
    """
    try:
        yield
    except UnknownChannel as unknown:
        raise ProtocolError(102, "unknown channel") from unknown
    except (TokenExpired, SessionOver, ScopeTokenOver) as over:
        raise ProtocolError(TOKEN_EXPIRED, "token expired") from over
    except (NotAllowed, TokenInvalid) as refusal:
        raise ProtocolError(103, "permission denied") from refusal
    except Fault as fault:
        raise ProtocolError(100, fault.detail, temporary=True) from fault


def _confirm(grant: Grant) -> None:
    with _as_refused_channel():
        grant.confirm()


def _caller_of(identity: Identity) -> Caller:
    assert isinstance(identity, Principal), "identities of this gate come from its authenticate"
    return identity.caller
