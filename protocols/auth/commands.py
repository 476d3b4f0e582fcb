"""Auth on the wire: accounts, sessions, tokens.

The first four routes are REST only: a socket is opened with the token they give.
"""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal, Unauthenticated
from protocols.values import Timestamp

Email = Annotated[
    str, Meta(max_length=254, examples=["amina@example.org"], extra_json_schema={"format": "email"})
]
"""A mail address; case does not matter."""

Password = Annotated[str, Meta(min_length=8, max_length=128, examples=["correct horse battery staple"])]
"""Any 8 to 128 characters, compared in Unicode's composed form (NFC); the commonest passwords are refused."""

DisplayName = Annotated[str, Meta(min_length=1, max_length=60, examples=["Amina"])]
"""The name others see."""

DeviceToken = Annotated[
    str,
    Meta(
        max_length=256,
        description="What the last sign-in on this device answered, of whichever account; empty at first. Browsers "
        "send it in the cookie `mnbara_device`.",
        examples=[""],
    ),
]
"""Known devices are not locked out when others guess the password."""

Role = Literal["user", "support", "finance", "admin"]
"""What an account may do; everybody is a `user`."""

EndReason = Literal["logout", "ended_elsewhere", "refresh_reused", "banned", "too_many", "password_changed"]
"""Why a session ended."""


# -- Commands ---------------------------------------------------------------------------------------------------------


class Register(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make an account and sign in."""

    email: Email
    password: Password
    display_name: DisplayName
    device_token: DeviceToken = ""


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign in."""

    email: Email
    password: Annotated[str, Meta(max_length=128)]
    device_token: DeviceToken = ""


class Refresh(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exchange a refresh token for a new access token."""

    refresh_token: Annotated[str, Meta(max_length=512)]


class Logout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End the session of the access token that is shown."""


class GetMe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask who is signed in."""


class ListSessions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask where the caller is signed in."""


class EndSession(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign out one of the caller's sessions."""

    session_id: UUID


class SetRoles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give an account exactly these roles; `user` is always among them."""

    user_id: UUID
    roles: Annotated[list[Role], Meta(max_length=8)]


class BanUser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End all sessions of an account and let it sign in no more."""

    user_id: UUID
    reason: Annotated[str, Meta(max_length=500)] = ""


class UnbanUser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let a banned account sign in again."""

    user_id: UUID


ScopeChannel = Annotated[
    str,
    Meta(
        pattern=r"^[a-z]{1,20}:(\*|#?[0-9A-Za-z-]{1,64})$(?!\n)",
        max_length=90,
        examples=["auctions:01a1fae9-8145-7614-a14a-0061ca24abef", "ticker:*"],
    ),
]
"""A channel by name, or `<kind>:*` for all of its kind."""


class CreateScopeToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a token by which whoever holds it may follow some of the channels that the caller may follow."""

    channels: Annotated[list[ScopeChannel], Meta(min_length=1, max_length=32)]
    ttl_s: Annotated[int, Meta(ge=1, le=86_400)] = 3_600
    """Seconds until it expires; it never outlives the caller's session."""
    label: Annotated[str, Meta(max_length=80)] = ""
    """For yourself: whom it is for."""


class ListScopeTokens(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask which of the caller's scope tokens are good."""


class RevokeScopeToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take one of the caller's scope tokens back; who follows channels by it stops within a second."""

    token_id: UUID


MailToken = Annotated[str, Meta(max_length=64, examples=["uYx0v2mC8mQ4cY7rT1nqk3Zb9sLw5HfGd6JpXeAoViU"])]
"""What follows `#token=` in the link of a mail."""


class VerifyEmail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prove by the token of a mail that its address is yours; for an address to come, take it over."""

    token: MailToken


class ResendVerification(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have the mail that proves your address sent again."""


class RequestReset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have a mail sent by which a new password can be chosen; the answer is the same if nobody has the address."""

    email: Email


class ResetPassword(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choose a new password by the token of a mail; every session of the account ends."""

    token: MailToken
    new_password: Password


class ChangePassword(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change your password; your other sessions end."""

    current_password: Annotated[str, Meta(max_length=128)]
    new_password: Password


class ChangeEmail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for another address; it counts once the token that is mailed to it comes back."""

    email: Email
    password: Annotated[str, Meta(max_length=128)]


class DescribeMe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say who you are; what is left out stays as it is."""

    display_name: DisplayName | None = None
    bio: Annotated[str, Meta(max_length=500)] | None = None
    """A few words that everybody sees."""
    locale: (
        Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$(?!\n)", examples=["ar-EG"])]
        | None
    ) = None
    """Language of mails and texts, by BCP 47."""
    time_zone: Annotated[str, Meta(max_length=64, examples=["Africa/Cairo"])] | None = None
    """By the IANA time zone database."""


class GetProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask what everybody may know of somebody."""

    user_id: UUID


# -- Replies ----------------------------------------------------------------------------------------------------------


class User(Struct, frozen=True, kw_only=True):
    """An account, as its owner and administrators see it."""

    id: UUID
    email: str
    email_verified: bool
    """Whether a token that was mailed to the address came back."""
    display_name: str
    bio: str
    locale: str
    time_zone: str
    roles: list[str]


class MailRequested(Struct, frozen=True, kw_only=True):
    """A mail is sent if there is whom to send it to."""

    valid_s: int
    """Seconds for which what it carries is good."""


Badge = Literal["email_verified"]


class Profile(Struct, frozen=True, kw_only=True):
    """What everybody may know of somebody."""

    id: UUID
    display_name: str
    bio: str
    member_since: Timestamp
    rating: float | None
    """Null until somebody has rated them."""
    badges: list[Badge]


class Tokens(Struct, frozen=True, kw_only=True):
    """What a client signs its requests with."""

    access_token: str
    """An EdDSA JWT for `Authorization: Bearer` and for `connect.token`."""
    refresh_token: str
    """Replace the one you had; a token older than the last two ends the session."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the word RFC 6750 asks for
    expires_in: int
    """Seconds until the access token expires; a little random, so that clients do not all refresh at once."""


class SignedIn(Struct, frozen=True, kw_only=True):
    """The account and the tokens of a new session."""

    user: User
    tokens: Tokens
    device_token: str
    """Keep it when the user signs out, and show it at the next sign-in. Browsers get it as a cookie, too."""


class Refreshed(Struct, frozen=True, kw_only=True):
    """The tokens of a session that goes on."""

    tokens: Tokens


class SessionEnd(Struct, frozen=True, kw_only=True):
    """A session that has ended; its sockets close within a second."""

    session_id: UUID


class Session(Struct, frozen=True, kw_only=True):
    """A place where the caller is signed in."""

    id: UUID
    created_at: Timestamp
    last_used_at: Timestamp
    """When its refresh token was last exchanged."""
    expires_at: Timestamp
    """When it ends in any case."""
    remote_ip: str
    """The address it was started from; empty when unknown."""
    current: bool
    """Whether this request belongs to it."""


class Sessions(Struct, frozen=True, kw_only=True):
    """All live sessions of the caller, the most lately used first."""

    items: list[Session]
    next_cursor: str | None = None


class ScopeToken(Struct, frozen=True, kw_only=True):
    """A token to pass on: for `subscribe.token`, or the header `Channel-Token` of a long poll."""

    id: UUID
    """What it is taken back by."""
    token: str
    """Told this once."""
    expires_at: Timestamp


class ScopeTokenSummary(Struct, frozen=True, kw_only=True):
    """A scope token as its maker sees it afterwards."""

    id: UUID
    label: str
    channels: list[str]
    created_at: Timestamp
    expires_at: Timestamp


class ScopeTokens(Struct, frozen=True, kw_only=True):
    """Good scope tokens, the newest first; all of them on one page."""

    items: list[ScopeTokenSummary]
    next_cursor: str | None = None


# -- Events, all on the user's personal channel -----------------------------------------------------------------------


class SessionStarted(Struct, frozen=True, kw_only=True):
    """Somebody signed in to this account."""

    session_id: UUID
    remote_ip: str
    new_device: bool
    """Whether the account did not know the device; its owner gets a mail then."""


class SessionEnded(Struct, frozen=True, kw_only=True):
    """A session of this account ended."""

    session_id: UUID
    reason: EndReason


class AccessChanged(Struct, frozen=True, kw_only=True):
    """The roles of this account changed: access tokens from before are refused, refresh yours."""

    roles: list[str]


class ScopeTokenCreated(Struct, frozen=True, kw_only=True):
    """This account lends others the sight of channels."""

    token_id: UUID
    label: str
    channels: list[str]
    expires_at: Timestamp


class ScopeTokenRevoked(Struct, frozen=True, kw_only=True):
    """A scope token of this account was taken back; also the answer to who did it."""

    token_id: UUID


class PasswordGuessed(Struct, frozen=True, kw_only=True):
    """Somebody tried many wrong passwords for this account, and more are refused for a while.

    Devices that have signed in before still can.
    """

    refused: Literal["network", "unknown_devices"]
    """Attempts from the network that they came from, or from all devices that the account does not know."""


class EmailVerified(Struct, frozen=True, kw_only=True):
    """The address of this account is proven."""

    email: str


class EmailChanged(Struct, frozen=True, kw_only=True):
    """This account has another address."""

    email: str


class PasswordChanged(Struct, frozen=True, kw_only=True):
    """This account has another password; the sessions that ended because of it are told of before."""

    remote_ip: str


PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "scope_token_created": ScopeTokenCreated,
    "scope_token_revoked": ScopeTokenRevoked,
    "session_started": SessionStarted,
    "session_ended": SessionEnded,
    "access_changed": AccessChanged,
    "password_guessed": PasswordGuessed,
    "email_verified": EmailVerified,
    "email_changed": EmailChanged,
    "password_changed": PasswordChanged,
}
"""Event types on `personal:#<user_id>`, for the interface documents."""


# -- Refusals ---------------------------------------------------------------------------------------------------------


class EmailTaken(Refusal):
    """There is an account with this address; sign in instead."""

    code, number, status = "email_taken", 500, 409


class BadCredentials(Refusal):
    """Address and password do not fit together."""

    code, number, status = "bad_credentials", 501, 401


class TokenInvalid(Unauthenticated):
    """This token is not one of ours; sign in again."""

    code, number, status = "token_invalid", 502, 401


class TokenExpired(Unauthenticated):
    """This token has expired; refresh it."""

    code, number, status = "token_expired", 503, 401


class RefreshReused(Refusal):
    """This refresh token was exchanged long ago and may be stolen; its session has ended. Sign in again."""

    code, number, status = "refresh_reused", 504, 401


class PasswordTooCommon(Refusal):
    """This password is among the first that anybody would guess; choose another."""

    code, number, status = "password_too_common", 505, 422


class AccountBanned(Refusal):
    """This account may not sign in; write to support."""

    code, number, status = "account_banned", 506, 403


class MailTokenInvalid(Refusal):
    """This link was used, has expired, or is not whole; ask for another mail."""

    code, number, status = "mail_token_invalid", 510, 422


class EmailAlreadyVerified(Refusal):
    """Your address is proven already."""

    code, number, status = "email_already_verified", 511, 409


class TooManyMails(Refusal):
    """You were sent several such mails lately; look for them, or try again later."""

    code, number, status = "too_many_mails", 512, 429


class SessionNotFound(Refusal):
    """You have no such live session."""

    code, number, status = "session_not_found", 508, 404


class SessionOver(Unauthenticated):
    """This session has ended; sign in again."""

    code, number, status = "session_over", 509, 401


class NotShareable(Refusal):
    """A channel of this kind cannot be shared by a scope token."""

    code, number, status = "not_shareable", 540, 422


class ScopeTokenOver(Unauthenticated):
    """This token was taken back by who made it; ask them for another."""

    code, number, status = "scope_token_over", 541, 401


class ScopeTokenNotFound(Refusal):
    """You have no such scope token that is good."""

    code, number, status = "scope_token_not_found", 542, 404


class TooManyScopeTokens(Refusal):
    """You have as many good scope tokens as you can; take one back first."""

    code, number, status = "too_many_scope_tokens", 543, 409
