"""Let a provider sign the caller in from now on. The owner hears of it by mail: whoever has a session can do it."""

from handlers.auth.mailing import send_notice
from handlers.auth.oauth.proving import Proven, prove
from handlers.contract import Caller, Event, Outcome, Preparation, Stores
from protocols.auth.providers import (
    Identity,
    IdentityLinked,
    IdentityTaken,
    LinkProvider,
)
from protocols.auth.refusals import UserNotFound
from protocols.topics import personal_channel
from protocols.values import new_id, to_timestamp
from storage.auth.identities_postgres import StoredIdentity, find_identity, insert_identity
from storage.auth.users_postgres import share_user


async def prepare_link(command: LinkProvider, _caller: Caller, before: Preparation) -> Proven:
    """Ask the provider. Raises as `prove`."""
    return Proven(command.provider, await prove(command, before))


async def link_provider(command: Proven, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Keep the identity; one that is the caller's already stays. Raises IdentityTaken, UserNotFound."""
    user = await share_user(stores.db, caller.id)
    if user is None:
        raise UserNotFound
    claims = command.claims
    identity = StoredIdentity(
        identity_id=new_id(),
        user_id=caller.id,
        provider=command.provider,
        email=claims.email[:254],
        at_ms=now_ms,
    )
    if not await insert_identity(stores.db, identity, claims.issuer, claims.subject):
        known = await find_identity(stores.db, claims.issuer, claims.subject)
        if known is None or known.user_id != caller.id:
            raise IdentityTaken
        return Outcome(to_identity(known))
    linked = IdentityLinked(identity_id=identity.identity_id, provider=identity.provider)
    address = caller.remote_ip or "unknown"
    jobs = await send_notice(
        stores, [user.email], "provider_linked", now_ms, provider=identity.provider, address=address
    )
    event = Event(personal_channel(caller.id), "identity_linked", linked)
    return Outcome(to_identity(identity), events=[event], jobs=jobs)


def to_identity(row: StoredIdentity) -> Identity:
    """Return an identity as its owner sees it."""
    return Identity(
        id=row.identity_id, provider=row.provider, email=row.email, linked_at=to_timestamp(row.at_ms)
    )
