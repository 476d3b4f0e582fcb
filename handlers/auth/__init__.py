"""Auth: accounts, sessions, tokens, roles. The table of contents of the domain."""

from handlers.auth.accounts.request_reset import SEND_RESETS
from handlers.auth.accounts.routes import ROUTES as ACCOUNT_ROUTES
from handlers.auth.accounts.send_resets import send_resets
from handlers.auth.ban_user import ban_user
from handlers.auth.create_scope_token import create_scope_token
from handlers.auth.demo import add_demo_people
from handlers.auth.end_session import end_session
from handlers.auth.factors.routes import ROUTES as FACTOR_ROUTES
from handlers.auth.get_me import get_me
from handlers.auth.list_scope_tokens import list_scope_tokens
from handlers.auth.list_sessions import list_sessions
from handlers.auth.login import login, prepare_login
from handlers.auth.logout import logout
from handlers.auth.notify_guessed import NOTICES
from handlers.auth.oauth.routes import ROUTES as OAUTH_ROUTES
from handlers.auth.oauth.tools import OauthTools, check_oauth_settings, open_oauth_tools
from handlers.auth.refresh import refresh
from handlers.auth.register import prepare_register, register
from handlers.auth.revoke_scope_token import revoke_scope_token
from handlers.auth.rules import DEVICE_KEPT_MS
from handlers.auth.set_roles import set_roles
from handlers.auth.tools import AuthTools, open_auth_tools
from handlers.auth.unban_user import unban_user
from handlers.contract import Permission, Route
from handlers.domain import ChannelKind, ChannelKinds, Domain, Retention, TimerKind, ToolKind
from protocols.auth.commands import (
    PERSONAL_EVENTS,
    AccountBanned,
    BadCredentials,
    BanUser,
    CreateScopeToken,
    EmailTaken,
    EndSession,
    GetMe,
    ListScopeTokens,
    ListSessions,
    Login,
    Logout,
    NotShareable,
    PasswordTooCommon,
    Refresh,
    Refreshed,
    RefreshReused,
    Register,
    RevokeScopeToken,
    ScopeToken,
    ScopeTokenNotFound,
    ScopeTokenRevoked,
    ScopeTokens,
    SessionEnd,
    SessionNotFound,
    SessionOver,
    Sessions,
    SetRoles,
    SignedIn,
    TokenExpired,
    TokenInvalid,
    TooManyScopeTokens,
    UnbanUser,
    User,
)
from protocols.auth.factors import FACTOR_EVENTS, SecondFactorRequired
from protocols.auth.providers import PROVIDER_EVENTS
from protocols.auth.refusals import UserNotFound
from protocols.errors import NotAllowed, RateLimited
from protocols.topics import PERSONAL, Lane
from storage.auth.account_tokens_postgres import delete_old_tokens
from storage.auth.devices_postgres import delete_old_devices
from storage.auth.factors_postgres import delete_old_challenges
from storage.auth.scope_tokens_postgres import delete_old_scope_tokens
from storage.auth.sessions_postgres import delete_old_sessions
from storage.platform.vault import Vault

ROUTES: tuple[Route, ...] = (
    Route(
        domain="auth",
        command=Register,
        reply=SignedIn,
        function=register,
        prepare=prepare_register,
        method="POST",
        path="/v1/auth/register",
        permission=Permission.ANYONE,
        status=201,
        cost=3,
        rpc=False,
        refusals=(EmailTaken, PasswordTooCommon),
    ),
    Route(
        domain="auth",
        command=Login,
        reply=SignedIn,
        function=login,
        prepare=prepare_login,
        method="POST",
        path="/v1/auth/login",
        permission=Permission.ANYONE,
        cost=3,
        rpc=False,
        refusals=(BadCredentials, AccountBanned, RateLimited, SecondFactorRequired),
    ),
    Route(
        domain="auth",
        command=Refresh,
        reply=Refreshed,
        function=refresh,
        method="POST",
        path="/v1/auth/refresh",
        permission=Permission.ANYONE,
        cost=2,
        rpc=False,
        refusals=(TokenInvalid, TokenExpired, SessionOver, RefreshReused),
    ),
    Route(
        domain="auth",
        command=Logout,
        reply=SessionEnd,
        function=logout,
        method="POST",
        path="/v1/auth/logout",
        permission=Permission.SIGNED_IN,
        rpc=False,
        refusals=(SessionNotFound,),
    ),
    Route(
        domain="auth",
        command=GetMe,
        reply=User,
        function=get_me,
        method="GET",
        path="/v1/auth/me",
        permission=Permission.SIGNED_IN,
        refusals=(UserNotFound,),
    ),
    Route(
        domain="auth",
        command=ListSessions,
        reply=Sessions,
        function=list_sessions,
        method="GET",
        path="/v1/auth/sessions",
        permission=Permission.SIGNED_IN,
    ),
    Route(
        domain="auth",
        command=EndSession,
        reply=SessionEnd,
        function=end_session,
        method="DELETE",
        path="/v1/auth/sessions/{session_id}",
        permission=Permission.SIGNED_IN,
        refusals=(SessionNotFound,),
    ),
    Route(
        domain="auth",
        command=CreateScopeToken,
        reply=ScopeToken,
        function=create_scope_token,
        method="POST",
        path="/v1/auth/scope-tokens",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=3,
        refusals=(NotShareable, SessionOver, TooManyScopeTokens),
    ),
    Route(
        domain="auth",
        command=ListScopeTokens,
        reply=ScopeTokens,
        function=list_scope_tokens,
        method="GET",
        path="/v1/auth/scope-tokens",
        permission=Permission.SIGNED_IN,
    ),
    Route(
        domain="auth",
        command=RevokeScopeToken,
        reply=ScopeTokenRevoked,
        function=revoke_scope_token,
        method="DELETE",
        path="/v1/auth/scope-tokens/{token_id}",
        permission=Permission.SIGNED_IN,
        refusals=(ScopeTokenNotFound,),
    ),
    Route(
        domain="auth",
        command=SetRoles,
        reply=User,
        function=set_roles,
        method="PUT",
        path="/v1/users/{user_id}/roles",
        permission=Permission.ADMIN,
        refusals=(UserNotFound, NotAllowed),
    ),
    Route(
        domain="auth",
        command=BanUser,
        reply=User,
        function=ban_user,
        method="POST",
        path="/v1/users/{user_id}/ban",
        permission=Permission.ADMIN,
        refusals=(UserNotFound, NotAllowed),
    ),
    Route(
        domain="auth",
        command=UnbanUser,
        reply=User,
        function=unban_user,
        method="DELETE",
        path="/v1/users/{user_id}/ban",
        permission=Permission.ADMIN,
        refusals=(UserNotFound,),
    ),
    *ACCOUNT_ROUTES,
    *OAUTH_ROUTES,
    *FACTOR_ROUTES,
)

PERSONAL_CHANNEL = ChannelKind(
    word=PERSONAL,
    parameter="user_id",
    lane=Lane.REPLAYED,
    readers="that user",
    delta=True,
    owner_only=True,
)
"""Carries events of every domain to one user; every connection of theirs follows it."""

KEPT_MS = 48 * 3_600_000
"""Expired sessions and scope tokens are kept as long as the answers of idempotency keys."""

DOMAIN = Domain(
    name="auth",
    routes=ROUTES,
    channels=(PERSONAL_CHANNEL,),
    timers=(
        *(TimerKind(name=name, handler=handler) for name, handler in NOTICES.items()),
        TimerKind(name=SEND_RESETS, handler=send_resets),
    ),
    retention=(
        Retention(delete=delete_old_devices, kept_ms=DEVICE_KEPT_MS),
        Retention(delete=delete_old_sessions, kept_ms=KEPT_MS),
        Retention(delete=delete_old_scope_tokens, kept_ms=KEPT_MS),
        Retention(delete=delete_old_tokens, kept_ms=0),
        Retention(delete=delete_old_challenges, kept_ms=0),
    ),
    tools=(
        ToolKind(AuthTools, open_auth_tools),
        ToolKind(OauthTools, open_oauth_tools, check_oauth_settings),
    ),
    needs=(ChannelKinds, Vault),
    personal_events={**PERSONAL_EVENTS, **PROVIDER_EVENTS, **FACTOR_EVENTS},
    demo=add_demo_people,
)
