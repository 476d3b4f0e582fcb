"""Send money to one's bank."""

from handlers.contract import Caller, Outcome, Stores, Timer
from handlers.freshness import require_fresh
from handlers.payments.checks import DAY_MS
from handlers.payments.debts import read_debts
from handlers.payments.limits import check_amount
from handlers.payments.payouts.views import to_payout
from handlers.payments.tools import PaymentTools
from protocols.payments.payouts import RequestPayout
from protocols.payments.postings import Account, Transfer
from protocols.payments.provider_refusals import DebtUnpaid, PayoutAccountMissing, PayoutAccountNotActive
from protocols.values import new_id
from storage.payments.payouts_postgres import (
    PayoutRow,
    insert_payout,
    read_own_account,
    sum_payouts_since,
)
from storage.payments.posting import post, repay_debts
from storage.payments.top_ups_postgres import lock_owner

SENT_AFTER_MS = 60_000
"""How long a payout can be taken back at least."""


async def request_payout(command: RequestPayout, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Take money off the wallet at once, and have it sent in a minute.

    Raises: CurrencyNotOffered, AmountOutOfRange, DailyLimitReached, PayoutAccountMissing, PayoutAccountNotActive,
    DebtUnpaid, InsufficientFunds, AccountFrozen, StepUpRequired.
    """
    await require_fresh(stores, caller, now_ms)
    money = command.money
    await lock_owner(stores.db, caller.id)
    spent_minor = await sum_payouts_since(stores.db, caller.id, money.currency, now_ms - DAY_MS)
    check_amount(money.amount, money.currency, spent_minor)
    account = await read_own_account(stores.db, caller.id)
    if account is None:
        raise PayoutAccountMissing
    if account.status != "active":
        raise PayoutAccountNotActive(account_status=account.status)
    await repay_debts(stores.db, [Account(caller.id, money.currency, "available")], now_ms)
    if debts := await read_debts(
        stores.db, caller.id
    ):  # in whatever currency: money is exchanged before it leaves
        owed = money.currency if money.currency in debts else min(debts)
        raise DebtUnpaid(owed=debts[owed], currency=owed)
    row = PayoutRow(
        payout_id=new_id(),
        owner_id=caller.id,
        account_id=account.account_id,
        currency=money.currency,
        amount_minor=money.amount,
        status="created",
        sending=False,
        reference="",
        failure="",
        take_id=new_id(),
        end_id=new_id(),
        return_id=new_id(),
        checks=0,
        created_at_ms=now_ms,
        account=account.reference,
    )
    taken = Transfer(
        transfer_id=row.take_id,
        debit=Account(caller.id, row.currency, "available"),
        credit=Account(caller.id, row.currency, "payable"),
        amount_minor=row.amount_minor,
        reason="payout",
        ref=row.payout_id,
    )
    (refusal,) = await post(stores.db, [[taken]], now_ms)
    if refusal is not None:
        raise refusal
    await insert_payout(stores.db, row)
    return Outcome(
        to_payout(row, test_money=stores.need(PaymentTools).test_money),
        timers=[Timer("check_payouts", row.payout_id, now_ms + SENT_AFTER_MS)],
    )
