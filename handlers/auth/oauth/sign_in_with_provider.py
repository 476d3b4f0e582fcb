"""Sign in as whom a provider says somebody is. The identity counts, never the address: an address may change hands."""

from msgspec import structs

from handlers.auth import rules
from handlers.auth.factors.challenges import ask_for_code
from handlers.auth.mailing import mail_token
from handlers.auth.oauth.proving import Proven, prove
from handlers.auth.sessions import start_session
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, JobRequest, Outcome, Preparation, Stores
from protocols.auth.commands import (
    AccountBanned,
    EmailTaken,
)
from protocols.auth.providers import (
    IdentityTaken,
    ProviderEmailMissing,
    SignInWithProvider,
)
from protocols.errors import InvalidInput
from protocols.values import new_id
from storage.auth.account_tokens_postgres import AccountToken
from storage.auth.identities_postgres import StoredIdentity, find_identity, insert_identity
from storage.auth.users_postgres import StoredUser, insert_member, share_user

NAMELESS = "New member"
"""Of an account whose provider tells no name that can be shown."""


async def prepare_provider(command: SignInWithProvider, _caller: Caller, before: Preparation) -> Proven:
    """Ask the provider. Raises as `prove`."""
    claims = await prove(command, before)
    return Proven(command.provider, claims, command.display_name, command.device_token)


async def sign_in_with_provider(command: Proven, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Begin a session of whom the identity belongs to; whoever is not known gets an account.

    Raises: AccountBanned, ProviderEmailMissing, EmailTaken when an account has the address (sign in there and link),
    IdentityTaken when two first sign-ins of one identity came at once. Answers with: SecondFactorRequired.
    """
    claims = command.claims
    known = await find_identity(stores.db, claims.issuer, claims.subject)
    jobs: list[JobRequest] = []
    if known is None:
        user, jobs = await _join(command, stores, now_ms)
    else:
        found = await share_user(stores.db, known.user_id)
        assert found is not None, "an identity refers to a user"
        user = found
    if user.banned_at_ms is not None:
        raise AccountBanned
    if asked := await ask_for_code(stores, user.user_id, now_ms):
        return asked
    signed_in = await start_session(user, caller, stores, now_ms, command.device_token)
    return structs.replace(signed_in, jobs=[*signed_in.jobs, *jobs])


async def _join(command: Proven, stores: Stores, now_ms: int) -> tuple[StoredUser, list[JobRequest]]:
    """Make an account for an identity. Raises ProviderEmailMissing, EmailTaken, IdentityTaken."""
    claims = command.claims
    try:
        email = rules.normalise_email(claims.email)
    except InvalidInput:
        raise ProviderEmailMissing from None
    user = await insert_member(
        stores.db,
        new_id(),
        email,
        stores.need(AuthTools).hasher.unmatchable_hash(),
        _name(command.display_name or claims.name),
        now_ms,
        verified=claims.email_verified,
    )
    if user is None:
        raise EmailTaken("An account has this address; sign in there, then link the provider")
    identity = StoredIdentity(
        identity_id=new_id(), user_id=user.user_id, provider=command.provider, email=email, at_ms=now_ms
    )
    if not await insert_identity(stores.db, identity, claims.issuer, claims.subject):
        raise IdentityTaken
    if claims.email_verified:
        return user, []
    token = AccountToken(user_id=user.user_id, purpose="verify_email", email=email)
    return user, await mail_token(stores, token, now_ms)


def _name(text: str) -> str:
    """Return a name that may be shown: a provider's rules are not ours."""
    try:
        return rules.check_display_name(text[:60])
    except InvalidInput:
        return NAMELESS
