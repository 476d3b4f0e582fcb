"""One-time codes, pure. Source: RFC 6238 (TOTP with SHA-1, 30 s, 6 digits), RFC 4226 5.3."""

import base64
import hashlib
import hmac
import re
from urllib.parse import quote

from protocols.errors import InvalidInput

SECRET_BYTES = 20
"""Source: RFC 4226 4, R6."""

STEP_MS = 30_000
DRIFT_STEPS = 1
"""How many steps a device's clock may be off."""

RECOVERY_CODES = 10
RECOVERY_BYTES = 10
"""80 random bits, so that a plain hash is enough to keep a code by."""

CHALLENGE_LIFE_MS = 300_000
"""From the right password to its code."""

CHALLENGE_TRIES_MAX = 5
"""Codes for one challenge: a bound that holds without Redis, since each challenge costs a right password."""

CODE_ATTEMPTS_MAX = 20
"""Wrong codes at one account in `ACCOUNT_WINDOW_S` from devices that it does not know. Three of a million codes are
good at a time: who knows the password and guesses for a day gets in with a probability of 0.0015."""

ISSUER = "Mnbara"

_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)
_RECOVERY = re.compile(r"[a-z2-7]{16}", re.ASCII)


def code_of(secret: bytes, step: int) -> str:
    """Return the six digits of a step."""
    digest = hmac.digest(secret, step.to_bytes(8), "sha1")
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4]) & 0x7FFF_FFFF
    return f"{number % 1_000_000:06}"


def find_step(secret: bytes, code: str, last_step: int, now_ms: int) -> int | None:
    """Return the step whose code this is, of those that are good now and after the last one used.

    Every step is computed and compared, so that right and wrong take the same time.
    """
    now, found = now_ms // STEP_MS, None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        fits = hmac.compare_digest(code_of(secret, step), code)
        if fits and step > last_step:
            found = step
    return found


def read_digits(text: str) -> str | None:
    """Return the six digits that somebody typed, or None."""
    digits = text.replace(" ", "")
    return digits if _DIGITS.fullmatch(digits) else None


def hash_recovery_code(text: str) -> bytes | None:
    """Return the hash that a recovery code is kept under, or None for what is no such code."""
    plain = text.replace(" ", "").replace("-", "").lower()
    return hashlib.sha256(plain.encode()).digest() if _RECOVERY.fullmatch(plain) else None


def to_recovery_code(drawn: bytes) -> str:
    """Return random bytes as people read them: `k3vq-7d2m-xw5a-p6ru`."""
    text = base64.b32encode(drawn).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def to_secret(secret: bytes) -> str:
    """Return a secret as it is typed into an app."""
    return base64.b32encode(secret).decode()


def to_uri(secret: bytes, email: str) -> str:
    """Return what an app reads from a QR code; SHA-1, six digits and 30 s are what apps take for granted."""
    return f"otpauth://totp/{ISSUER}:{quote(email, safe='')}?secret={to_secret(secret)}&issuer={ISSUER}"


def check_one_way(first: str, second: str, names: tuple[str, str]) -> None:
    """Let exactly one of two be given. Raises InvalidInput."""
    if bool(first) == bool(second):
        detail = f"Show either `{names[0]}` or `{names[1]}`"
        raise InvalidInput(detail, errors=[{"pointer": f"/{name}", "detail": detail} for name in names])
