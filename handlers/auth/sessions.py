"""What several verbs do with sessions: start one, tell of its end, show its user."""

from collections.abc import Iterable
from uuid import UUID

from handlers.auth.devices import remember_device
from handlers.auth.mailing import send_notice
from handlers.auth.rules import SESSION_LIFE_MS, SESSIONS_MAX
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Event, JobRequest, Outcome, Stores
from protocols.auth.commands import EndReason, SessionEnded, SessionStarted, SignedIn, Tokens, User
from protocols.topics import personal_channel
from protocols.values import new_id
from storage.auth.sessions_postgres import end_surplus_sessions, insert_session
from storage.auth.users_postgres import StoredUser


async def start_session(
    user: StoredUser, caller: Caller, stores: Stores, now_ms: int, device_token: str
) -> Outcome:
    """Begin a session of a user whose password was right, on a device that is known from now on.

    The reply carries its first tokens and what the device shall show. The owner gets a mail about a new device, unless
    the account is new, too.
    """
    session_id = new_id()
    expires_at_ms = now_ms + SESSION_LIFE_MS
    await insert_session(stores.db, session_id, user.user_id, now_ms, expires_at_ms, caller.remote_ip)
    surplus = await end_surplus_sessions(stores.db, user.user_id, SESSIONS_MAX, now_ms)
    owner = Caller(user.user_id, session_id, user.roles)
    tokens = sign_tokens(stores, owner, user.access_version, 0, now_ms, expires_at_ms)
    marked = await remember_device(stores.db, user.user_id, device_token, now_ms)
    new_device = marked != device_token
    jobs: list[JobRequest] = []
    if new_device and user.created_at_ms != now_ms:
        address = caller.remote_ip or "unknown"
        jobs = await send_notice(stores, [user.email], "new_device", now_ms, address=address)
    started = Event(
        stream=personal_channel(user.user_id),
        type="session_started",
        data=SessionStarted(session_id=session_id, remote_ip=caller.remote_ip, new_device=new_device),
    )
    return Outcome(
        reply=SignedIn(user=to_user(user), tokens=tokens, device_token=marked),
        events=[*announce_ends(user.user_id, surplus, "too_many"), started],
        jobs=jobs,
    )


def sign_tokens(
    stores: Stores, owner: Caller, access_version: int, counter: int, now_ms: int, ends_at_ms: int
) -> Tokens:
    """Return the tokens of a session (`owner.session_id`) at a counter."""
    if owner.session_id is None:
        raise AssertionError("tokens belong to a session")
    access_token, life_s = stores.need(AuthTools).sign_access_token(owner, access_version, now_ms, ends_at_ms)
    return Tokens(
        access_token=access_token,
        refresh_token=stores.need(AuthTools).sign_refresh_token(owner.session_id, counter),
        expires_in=life_s,
    )


def announce_ends(user_id: UUID, session_ids: Iterable[UUID], reason: EndReason) -> list[Event]:
    """Return the events that tell a user which of their sessions ended, and why."""
    channel = personal_channel(user_id)
    return [
        Event(channel, "session_ended", SessionEnded(session_id=session_id, reason=reason))
        for session_id in session_ids
    ]


def to_user(user: StoredUser) -> User:
    """Return the account as its owner sees it."""
    return User(
        id=user.user_id,
        email=user.email,
        email_verified=user.email_verified_at_ms is not None,
        display_name=user.display_name,
        bio=user.bio,
        locale=user.locale,
        time_zone=user.time_zone,
        roles=sorted(user.roles),
    )
