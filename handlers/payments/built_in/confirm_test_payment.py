"""Pay with a test card."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.tools import PaymentTools
from protocols.payments.built_in import ConfirmTestPayment, TestPayment
from protocols.payments.provider_refusals import NoTestMoney, NoTestPayment
from storage.payments.built_in_objects import lock_secret
from storage.payments.built_in_rules import pay


async def confirm_test_payment(
    command: ConfirmTestPayment, _caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Charge a test card, as a provider's form in a browser does. Raises NoTestMoney, NoTestPayment."""
    if not stores.need(PaymentTools).test_money:
        raise NoTestMoney
    payment = await lock_secret(stores.db, command.client_secret)
    if payment is None or payment.status == "canceled":
        raise NoTestPayment
    payment = await pay(stores.db, payment, command.card, authenticated=command.authenticated)
    return Outcome(TestPayment(status=payment.status, failure=payment.failure))  # type: ignore[arg-type]
