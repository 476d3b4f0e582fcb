"""Ends connections and subscriptions of this process whose access is revoked: session, roles or scope token."""

from collections.abc import Sequence
from functools import partial

from handlers.auth.revocations import RevocationWatch, tells_of_access
from protocols.topics import PERSONAL_PREFIX
from protocols.wire.centrifuge import UnsubscribeCode
from realtime.hub import Hub
from storage.auth.sessions_postgres import Revocation

SESSION_OVER = (4501, "session over")
"""Close code for sockets of an ended session: terminal, because only a new sign-in helps."""

ACCESS_CHANGED = (4401, "access changed")
"""Close code after a role change: the client reconnects with a refreshed token."""

DELEGATION_OVER = (UnsubscribeCode.EXPIRED, "token expired")
"""Unsubscribe code for subscriptions by a scope token of such an account: clients ask for another token."""


def close_on_revocation(hub: Hub, watch: RevocationWatch) -> None:
    """Close what lost access; events of revocations on personal channels make the watch look at once."""
    watch.on_revoked = partial(close_sockets, hub)
    hub.observe(PERSONAL_PREFIX, lambda _, entry: watch.hint() if tells_of_access(entry.data) else None)


def close_sockets(hub: Hub, revoked: Sequence[Revocation]) -> None:
    """End the connections and subscriptions of this process that the revocations concern."""
    for revocation in revoked:
        if revocation.session_id is not None:
            hub.disconnect_session(str(revocation.session_id), *SESSION_OVER)
            hub.delegations.end_of_session(str(revocation.session_id), *DELEGATION_OVER)
        elif revocation.token_id is not None:
            hub.delegations.end_of_token(str(revocation.token_id), *DELEGATION_OVER)
        else:
            hub.disconnect_user(str(revocation.user_id), *ACCESS_CHANGED)
            hub.delegations.end_of_user(str(revocation.user_id), *DELEGATION_OVER)
