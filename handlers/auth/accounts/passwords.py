"""What happens whenever an account gets another password."""

from uuid import UUID

from handlers.auth.mailing import send_notice
from handlers.auth.sessions import announce_ends
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auth.commands import PasswordChanged
from protocols.topics import personal_channel
from storage.auth.account_tokens_postgres import delete_tokens
from storage.auth.factors_postgres import delete_challenges
from storage.auth.sessions_postgres import end_all_sessions
from storage.auth.users_postgres import StoredUser, change_password


async def replace_password(
    user: StoredUser,
    password_hash: str,
    caller: Caller,
    stores: Stores,
    now_ms: int,
    keep: UUID | None = None,
) -> Outcome:
    """Write the hash, end all sessions but one to keep, make the tokens of mails worthless, tell the owner.

    The user's row is locked: a sign-in with the old password has committed before, and its session ends here, or comes
    after and does not find its hash.
    """
    await change_password(stores.db, user.user_id, password_hash)
    await delete_tokens(stores.db, user.user_id, ["reset_password", "change_email"])
    await delete_challenges(stores.db, user.user_id)
    ended = await end_all_sessions(stores.db, user.user_id, now_ms, "password_changed", keep)
    address = caller.remote_ip or "unknown"
    jobs = await send_notice(stores, [user.email], "password_changed", now_ms, address=address)
    changed = Event(
        personal_channel(user.user_id), "password_changed", PasswordChanged(remote_ip=caller.remote_ip)
    )
    return Outcome(None, events=[*announce_ends(user.user_id, ended, "password_changed"), changed], jobs=jobs)
