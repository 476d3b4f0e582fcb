"""Fill in one's test payout account."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.tools import PaymentTools
from protocols.payments.built_in import OnboardTestAccount, TestAccount
from protocols.payments.provider_refusals import NoTestMoney, NoTestPayment
from storage.payments import built_in_objects as objects
from storage.payments.payouts_postgres import read_own_account


async def onboard_test_account(
    command: OnboardTestAccount, caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Give the caller's account a status and a bank at the test provider. Raises NoTestMoney, NoTestPayment."""
    if not stores.need(PaymentTools).test_money:
        raise NoTestMoney
    row = await read_own_account(stores.db, caller.id)
    account = None if row is None else await objects.lock_own(stores.db, "account", row.account_id)
    if account is None:
        raise NoTestPayment
    account = await objects.change(stores.db, account, status=command.status, word=command.bank)
    await objects.announce(stores.db, "account.updated", account)
    return Outcome(TestAccount(status=command.status, bank=command.bank))
