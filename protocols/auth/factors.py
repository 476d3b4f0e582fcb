"""Second factors on the wire: codes of an authenticator app, recovery codes, and proving again that it is you."""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from protocols.auth.commands import DeviceToken
from protocols.errors import Refusal
from protocols.values import Timestamp

Code = Annotated[str, Meta(max_length=32, examples=["492039"])]
"""Six digits of the app, spaces allowed."""

AnyCode = Annotated[str, Meta(max_length=32, examples=["492039"])]
"""Six digits of the app, or a recovery code."""

RecoveryCode = Annotated[str, Meta(max_length=32, examples=["k3vq-7d2m-xw5a-p6ru"])]
"""One of ten; case and hyphens do not matter."""

Factor = Literal["totp"]


# -- Commands ---------------------------------------------------------------------------------------------------------


class BeginTotp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Get a secret for an authenticator app; sign-ins need its codes once one of them was confirmed."""

    password: Annotated[str, Meta(max_length=128)] = ""
    """Of accounts that have one."""


class ConfirmTotp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show the app's first code: from now on a sign-in needs one."""

    code: Code


class RemoveTotp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let sign-ins need no code any more."""

    code: AnyCode


class ReplaceRecoveryCodes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Get ten new recovery codes; the old ones are good no more."""


class LoginSecondFactor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Complete a sign-in that was answered with `second_factor_required`: show a code or a recovery code."""

    challenge: Annotated[str, Meta(max_length=64, examples=["uYx0v2mC8mQ4cY7rT1nqk3Zb9sLw5HfGd6JpXeAoViU"])]
    code: Code = ""
    recovery_code: RecoveryCode = ""
    device_token: DeviceToken = ""


class StepUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show once more that it is you: a code where the account needs codes, else the password."""

    password: Annotated[str, Meta(max_length=128)] = ""
    code: AnyCode = ""


# -- Replies ----------------------------------------------------------------------------------------------------------


class TotpSecret(Struct, frozen=True, kw_only=True):
    """What an authenticator app is set up with; told this once."""

    secret: Annotated[str, Meta(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])]
    """Base32, to be typed in."""
    uri: Annotated[str, Meta(examples=["otpauth://totp/Mnbara:amina%40example.org?secret=JBSWY3DPEHPK3PXP"])]
    """To be shown as a QR code."""


class RecoveryCodes(Struct, frozen=True, kw_only=True):
    """Codes for who has lost the app, each good once; told this once."""

    codes: list[RecoveryCode]


class SteppedUp(Struct, frozen=True, kw_only=True):
    """The session is fresh."""

    fresh_until: Timestamp


# -- Events, on the user's personal channel ---------------------------------------------------------------------------


class FactorAdded(Struct, frozen=True, kw_only=True):
    """Sign-ins to this account need a second factor from now on."""

    factor: Factor


class FactorRemoved(Struct, frozen=True, kw_only=True):
    """Sign-ins to this account do not need this factor any more."""

    factor: Factor


FACTOR_EVENTS: dict[str, type[Struct]] = {"factor_added": FactorAdded, "factor_removed": FactorRemoved}
"""Event types on `personal:#<user_id>`, for the interface documents."""


# -- Refusals ---------------------------------------------------------------------------------------------------------


class SecondFactorRequired(Refusal):
    """The password was right; this account needs a code as well."""

    code, number, status = "second_factor_required", 551, 401
    example: ClassVar[dict[str, Any]] = {
        "challenge": "uYx0v2mC8mQ4cY7rT1nqk3Zb9sLw5HfGd6JpXeAoViU",
        "valid_s": 300,
        "ways": ["code", "recovery_code"],
    }


class ChallengeInvalid(Refusal):
    """This sign-in was completed, has expired, or had too many wrong codes; begin again."""

    code, number, status = "challenge_invalid", 552, 401


class CodeWrong(Refusal):
    """This code is wrong, was used, or is of another time."""

    code, number, status = "code_wrong", 553, 401


class FactorPresent(Refusal):
    """Your account needs codes already; take that back first."""

    code, number, status = "factor_present", 554, 409


class FactorMissing(Refusal):
    """Your account has no such factor."""

    code, number, status = "factor_missing", 555, 409
