"""The `realtime.ports.ApplicationPort` of the server: token verifier, channel permissions and command table.

Refusals become codes of the client protocol where it has them: 109 for an expired token (the client fetches a new one),
3500 for an invalid one (it stops), 102 and 103 for channels.
"""

from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from handlers.auth.tokens import TokenVerifier, Verified
from handlers.contract import ANONYMOUS, Caller
from protocols.auth.commands import ScopeTokenOver, SessionOver, TokenExpired, TokenInvalid
from protocols.errors import Fault, NotAllowed, Refusal, UnknownChannel
from protocols.topics import PERSONAL_PREFIX
from realtime.ports import (
    ChannelRule,
    ConnectRequestContext,
    Delegation,
    DisconnectError,
    Identity,
    PendingReply,
    ProtocolError,
)
from server.channels.delegations import DelegatedPermissions
from server.channels.permissions import rule_of
from server.commands.access_log import Commands

INVALID_TOKEN = 3500
TOKEN_EXPIRED = 109


@dataclass(slots=True)
class Principal(Identity):
    """An identity and the caller its commands run as."""

    caller: Caller = ANONYMOUS
    confirm: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class CheckedToken:
    """The caller that a valid access token names, and when it expires."""

    caller: Caller
    expires_at_s: int
    confirm: Callable[[], None]
    """Raises a refusal of the auth domain when the token is no longer valid."""


class VerifiedTokens:
    """Access tokens, checked by the auth domain's verifier."""

    def __init__(self, verifier: TokenVerifier) -> None:
        """Ask this verifier."""
        self._verifier = verifier

    def check_now(self, token: str) -> CheckedToken | None:
        """Return what the token says, or None when this process has to look for ended sessions first."""
        verified = self._verifier.verify_now(token)
        return None if verified is None else self._checked(verified)

    async def check(self, token: str) -> CheckedToken:
        """Return what the token says."""
        return self._checked(await self._verifier.verify_access_token(token))

    def _checked(self, verified: Verified) -> CheckedToken:
        return CheckedToken(verified.caller, verified.expires_at_s, partial(self._verifier.confirm, verified))


class Application:
    """The application as connections see it, in one server process."""

    def __init__(self, token: VerifiedTokens, rules: DelegatedPermissions, commands: Commands) -> None:
        """Join the three."""
        personal = rules.kinds.kind_of(PERSONAL_PREFIX + "of anybody")
        self._personal_rule = rule_of(personal) if personal else None
        self._token = token
        self._rules = rules
        self._commands = commands

    def recognise(self, token: str, context: ConnectRequestContext) -> Identity | None:
        """Return whom the token names, or None when that needs I/O; no token is anonymous."""
        if not token:
            return Principal(caller=Caller(remote_ip=context.remote_ip))
        with _as_protocol():
            checked = self._token.check_now(token)
        return None if checked is None else _principal(checked, context)

    async def authenticate(self, token: str, context: ConnectRequestContext) -> Identity:
        """Return whom the token names; no token is anonymous."""
        if not token:
            return Principal(caller=Caller(remote_ip=context.remote_ip))
        with _as_protocol():
            checked = await self._token.check(token)
        return _principal(checked, context)

    def confirm(self, identity: Identity) -> None:
        """Return if the token of the identity is still valid. Raises as `authenticate`."""
        assert isinstance(identity, Principal), "identities come from `recognise` and `authenticate`"
        if identity.confirm is not None:
            with _as_protocol():
                identity.confirm()

    async def authorize(self, identity: Identity, channel: str, token: str = "") -> ChannelRule:
        """Return how the channel behaves for this identity, or for whoever shows this scope token."""
        with _as_refused_channel():
            rule = await self._rules.authorize(_caller_of(identity), channel, token)
        delegation = rule.delegation
        if delegation is None:
            return rule
        return replace(rule, delegation=replace(delegation, confirm=partial(_confirm, delegation)))

    async def publish(self, identity: Identity, channel: str, data: bytes, info: bytes) -> None:  # noqa: ARG002
        """Refuse: clients call commands, and only their events are published. Raises ProtocolError 103."""
        raise ProtocolError(103, "permission denied")

    def personal_channels(self, identity: Identity) -> Sequence[tuple[str, ChannelRule]]:
        """Return the personal channel of a signed-in user."""
        rule = self._personal_rule
        return ((PERSONAL_PREFIX + identity.user, rule),) if identity.user and rule else ()

    def call(self, identity: Identity, method: str, data: bytes) -> "bytes | PendingReply | Future[bytes]":
        """Run an RPC as the identity's caller."""
        caller = _caller_of(identity)
        return self._commands.call(method, data, caller)


@contextmanager
def _as_protocol() -> Iterator[None]:
    """Turn the refusal of a token into an error of the client protocol."""
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
    """Turn the refusal of a channel, or of a token for it, into an error of the client protocol.

    A token that is no longer valid is "expired", whatever ended it: the client asks its app for another one.
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


def _principal(checked: CheckedToken, context: ConnectRequestContext) -> Principal:
    known = checked.caller
    caller = Caller(known.user_id, known.session_id, known.roles, context.remote_ip)
    return Principal(
        user=str(known.user_id),
        session=str(known.session_id),
        roles=known.roles,
        expires_at_s=checked.expires_at_s,
        caller=caller,
        confirm=checked.confirm,
    )


def _confirm(delegation: Delegation) -> None:
    with _as_refused_channel():
        delegation.confirm()


def _caller_of(identity: Identity) -> Caller:
    assert isinstance(identity, Principal), "identities come from `recognise` and `authenticate`"
    return identity.caller
