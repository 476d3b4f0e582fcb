"""The commands about second factors."""

from handlers.auth.factors.begin_totp import begin_totp, prepare_totp
from handlers.auth.factors.confirm_totp import confirm_totp
from handlers.auth.factors.counting import prepare_code
from handlers.auth.factors.login_second_factor import login_second_factor, prepare_second_factor
from handlers.auth.factors.remove_totp import remove_totp
from handlers.auth.factors.replace_recovery_codes import replace_recovery_codes
from handlers.auth.factors.step_up import prepare_step_up, step_up
from handlers.contract import Permission, Route
from protocols.auth import factors as words
from protocols.auth.commands import AccountBanned, BadCredentials, SessionOver, SignedIn
from protocols.auth.refusals import StepUpRequired, UserNotFound
from protocols.errors import InvalidInput, RateLimited

ROUTES: tuple[Route, ...] = (
    Route(
        domain="auth",
        command=words.BeginTotp,
        reply=words.TotpSecret,
        function=begin_totp,
        prepare=prepare_totp,
        method="POST",
        path="/v1/auth/totp",
        permission=Permission.SIGNED_IN,
        cost=3,
        rpc=False,
        refusals=(BadCredentials, RateLimited, StepUpRequired, UserNotFound, words.FactorPresent),
    ),
    Route(
        domain="auth",
        command=words.ConfirmTotp,
        reply=words.RecoveryCodes,
        function=confirm_totp,
        prepare=prepare_code,
        method="POST",
        path="/v1/auth/totp/confirm",
        permission=Permission.SIGNED_IN,
        cost=3,
        rpc=False,
        refusals=(words.CodeWrong, words.FactorMissing, words.FactorPresent, RateLimited, UserNotFound),
    ),
    Route(
        domain="auth",
        command=words.RemoveTotp,
        reply=None,
        function=remove_totp,
        prepare=prepare_code,
        method="DELETE",
        path="/v1/auth/totp",
        permission=Permission.SIGNED_IN,
        status=204,
        cost=3,
        rpc=False,
        refusals=(words.CodeWrong, words.FactorMissing, RateLimited, UserNotFound),
    ),
    Route(
        domain="auth",
        command=words.ReplaceRecoveryCodes,
        reply=words.RecoveryCodes,
        function=replace_recovery_codes,
        method="POST",
        path="/v1/auth/totp/recovery-codes",
        permission=Permission.SIGNED_IN,
        cost=3,
        rpc=False,
        refusals=(words.FactorMissing, StepUpRequired),
    ),
    Route(
        domain="auth",
        command=words.LoginSecondFactor,
        reply=SignedIn,
        function=login_second_factor,
        prepare=prepare_second_factor,
        method="POST",
        path="/v1/auth/login/second-factor",
        permission=Permission.ANYONE,
        cost=3,
        rpc=False,
        refusals=(words.ChallengeInvalid, words.CodeWrong, AccountBanned, InvalidInput, RateLimited),
    ),
    Route(
        domain="auth",
        command=words.StepUp,
        reply=words.SteppedUp,
        function=step_up,
        prepare=prepare_step_up,
        method="POST",
        path="/v1/auth/step-up",
        permission=Permission.SIGNED_IN,
        cost=3,
        rpc=False,
        refusals=(
            BadCredentials,
            words.CodeWrong,
            words.FactorMissing,
            InvalidInput,
            RateLimited,
            SessionOver,
            StepUpRequired,
            UserNotFound,
        ),
    ),
)
