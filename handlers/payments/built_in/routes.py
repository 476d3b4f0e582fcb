"""The routes of the test provider's cardholders and banks."""

from handlers.contract import Permission, Route
from handlers.payments.built_in.confirm_test_payment import confirm_test_payment
from handlers.payments.built_in.onboard_test_account import onboard_test_account
from protocols.payments import built_in as words
from protocols.payments.provider_refusals import NoTestMoney, NoTestPayment

ROUTES: tuple[Route, ...] = (
    Route(
        domain="payments",
        command=words.ConfirmTestPayment,
        reply=words.TestPayment,
        function=confirm_test_payment,
        method="POST",
        path="/v1/test-payments/confirm",
        permission=Permission.SIGNED_IN,
        cost=5,
        refusals=(NoTestMoney, NoTestPayment),
    ),
    Route(
        domain="payments",
        command=words.OnboardTestAccount,
        reply=words.TestAccount,
        function=onboard_test_account,
        method="POST",
        path="/v1/test-payments/onboard",
        permission=Permission.SIGNED_IN,
        cost=5,
        refusals=(NoTestMoney, NoTestPayment),
    ),
)
