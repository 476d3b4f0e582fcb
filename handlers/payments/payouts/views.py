"""Payout accounts and payouts as their owners see them."""

from protocols.payments.payouts import Payout, PayoutAccount, PayoutChanged
from protocols.values import Money, to_timestamp
from storage.payments.payouts_postgres import PayoutAccountRow, PayoutRow


def to_account(row: PayoutAccountRow, *, test_money: bool, url: str = "") -> PayoutAccount:
    """Return a payout account as answers show it."""
    return PayoutAccount(
        id=row.account_id,
        status=row.status,
        country=row.country,
        onboarding_url=url,
        test_money=test_money,
    )


def to_payout(row: PayoutRow, *, test_money: bool) -> Payout:
    """Return a payout as answers show it."""
    return Payout(
        id=row.payout_id,
        money=Money(row.amount_minor, row.currency),
        status=row.status,
        failure=row.failure,
        created_at=to_timestamp(row.created_at_ms),
        test_money=test_money,
    )


def to_changed(row: PayoutRow) -> PayoutChanged:
    """Return a payout as its owner is told of it."""
    return PayoutChanged(
        payout_id=row.payout_id,
        status=row.status,
        money=Money(row.amount_minor, row.currency),
        failure=row.failure,
    )
