"""The rules of auth, pure: addresses, names, passwords, and what a refresh token is worth.

Source: OWASP ASVS 5.0 6.2 (passwords).
"""

import re
import unicodedata
from enum import Enum

from handlers.auth.common_passwords import COMMON_PASSWORDS, COMMON_STEMS
from protocols.auth.commands import PasswordTooCommon
from protocols.errors import InvalidInput
from protocols.labels import check_label

SESSION_LIFE_MS = 100 * 24 * 3_600_000
"""A session ends 100 days after sign-in however much it is used."""

REUSE_INTERVAL_MS = 10_000
"""How long after a rotation any older token still gets the current one: tabs that refresh at once are no thieves."""

SESSIONS_MAX = 100
"""Live sessions of one account; the next sign-in ends the one used longest ago."""

SCOPE_TOKENS_MAX = 100
"""Good scope tokens of one account."""

WINDOW_S = 900
"""Fifteen minutes, in which failed sign-ins are counted together: long enough to make guessing hopeless, short enough
that an owner who is shut out waits it out."""

PAIR_ATTEMPTS_MAX = 10
"""Failed sign-ins at one account from one address of origin, of IPv6 one /64, or from one known device, in a window."""

SITE_PAIR_ATTEMPTS_MAX = 30
"""Likewise from one IPv6 /48: who has 65,536 networks does not use up the account's own budget."""

ACCOUNT_WINDOW_S = 3_600
ACCOUNT_ATTEMPTS_MAX = 100
"""Failed sign-ins at one account in an hour, from all devices that it does not know. Source: OWASP ASVS 4.0.3 2.2.1."""

DEVICES_MAX = 20
"""Devices that an account knows, the most lately used ones."""

DEVICE_KEPT_MS = 400 * 24 * 3_600_000
"""How long a device stays known without signing in: as long as browsers keep a cookie. Source: RFC 6265bis 5.5."""

MARKERS_MAX = 5
"""Accounts that one device is known to."""

IP_ATTEMPTS_MAX = 100
"""Failed sign-ins from one address of origin, of IPv6 one /64, within the window: an office or a mobile network shares
one."""

SITE_ATTEMPTS_MAX = 800
"""Likewise from one IPv6 /48, which may be one customer's or that of many."""

RESETS_MAX = 20
"""Requests for a new password from one network in `WINDOW_S`."""

MAILS_MAX = 100
"""Mails with a token to addresses that one network names, in `WINDOW_S`: they may be other people's."""

TOKENS_MAX = 3
"""Mails with a token of one purpose that an account is sent within the life of one."""

TOKEN_LIFE_MS = {"verify_email": 86_400_000, "change_email": 86_400_000, "reset_password": 600_000}
"""How long the token of a mail is good. Source: ASVS 5.0, 6.5: at most ten minutes for what replaces a password."""

NOTICE_LIFE_MS = 3 * 86_400_000
"""How long it is worth sending a mail that only tells of something."""

_EMAIL = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)(?!.*=\?)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_LOOKALIKES = str.maketrans("@401!35$7", "aaoiiesst")
_KEY_ROWS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qazwsxedcrfvtgbyhnujmikolp",
    "azertyuiopqsdfghjklmwxcvbn",
)


def normalise_email(text: str) -> str:
    """Return the address in the one spelling it is stored in. Raises InvalidInput."""
    email = text.lower()
    if not _EMAIL.match(email):
        raise InvalidInput(
            "This is not a mail address", errors=[{"pointer": "/email", "detail": "not a mail address"}]
        )
    return email


def check_display_name(text: str) -> str:
    """Return the name without outer spaces. Raises InvalidInput."""
    return check_label(text, "/display_name", "A name")


def normalise_password(password: str) -> str:
    """Return the password as it is hashed: devices send an accent with or apart from its letter."""
    return unicodedata.normalize("NFC", password)


class PasswordFit(Enum):
    """How a password matches a hash."""

    NO = "no"
    YES = "yes"
    AS_SENT = "as sent"
    """Its characters as they came: the hash is from before passwords were normalised, and is to be replaced."""


def check_password(password: str, email: str, display_name: str) -> None:
    """Let any password through that is not among the first guesses. Raises PasswordTooCommon."""
    folded = normalise_password(password).casefold()
    own = {email, email.partition("@")[0], display_name.casefold()}
    if folded in own or _is_common(folded):
        raise PasswordTooCommon


def _is_common(folded: str) -> bool:
    stem = folded.strip("0123456789!?.@#$*_-")
    return (
        not COMMON_PASSWORDS.isdisjoint((folded, folded.translate(_LOOKALIKES)))
        or not COMMON_STEMS.isdisjoint((stem, stem.translate(_LOOKALIKES)))
        or any(folded in row or folded in row[::-1] for row in _KEY_ROWS)
        or _repeats(folded)
    )


def _repeats(text: str) -> bool:
    """Whether the text is one piece of up to four characters over and over: aaaaaaaa, 12121212, abcabcabc."""
    return any(text == (text[:size] * (len(text) // size + 1))[: len(text)] for size in range(1, 5))


class RefreshVerdict(Enum):
    """What a refresh token is worth."""

    ROTATE = "rotate"
    """It is the current one: the next becomes current."""
    REPEAT = "repeat"
    """The client never saved its successor, or tabs refreshed at once: it gets the current token again."""
    FOREIGN = "foreign"
    """Its counter has never been given out."""
    REUSED = "reused"
    """It was superseded long ago, yet somebody has it: the session ends."""


def check_refresh(current: int, rotated_at_ms: int, presented: int, now_ms: int) -> RefreshVerdict:
    """Return what a refresh token with counter `presented` is worth while `current` is the session's counter."""
    behind = current - presented
    if behind < 0:
        return RefreshVerdict.FOREIGN
    if behind == 0:
        return RefreshVerdict.ROTATE
    if behind == 1 or now_ms - rotated_at_ms <= REUSE_INTERVAL_MS:
        return RefreshVerdict.REPEAT
    return RefreshVerdict.REUSED
