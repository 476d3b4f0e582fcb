"""Top-ups, refunds and cards as their owners see them."""

from protocols.payments.top_ups import Method, TopUp, TopUpChanged, TopUpRefund
from protocols.values import Money, to_timestamp
from storage.payments.methods_postgres import MethodRow
from storage.payments.refunds_postgres import RefundRow
from storage.payments.top_ups_postgres import TopUpRow


def to_top_up(row: TopUpRow, *, test_money: bool, client_secret: str = "") -> TopUp:
    """Return a top-up as answers show it."""
    return TopUp(
        id=row.top_up_id,
        money=Money(row.amount_minor, row.currency),
        status=row.status,
        refunded=row.refunded_minor,
        failure=row.failure,
        client_secret=client_secret,
        created_at=to_timestamp(row.created_at_ms),
        test_money=test_money,
    )


def to_changed(row: TopUpRow) -> TopUpChanged:
    """Return a top-up as its owner is told of it."""
    return TopUpChanged(
        top_up_id=row.top_up_id,
        status=row.status,
        money=Money(row.amount_minor, row.currency),
        refunded=row.refunded_minor,
        failure=row.failure,
    )


def to_refund(row: RefundRow, *, test_money: bool) -> TopUpRefund:
    """Return a refund as answers show it."""
    return TopUpRefund(
        id=row.refund_id,
        top_up_id=row.top_up_id,
        money=Money(row.amount_minor, row.currency),
        status=row.status,
        test_money=test_money,
    )


def to_method(row: MethodRow, *, test_money: bool) -> Method:
    """Return a saved card as answers show it."""
    return Method(
        id=row.method_id,
        status=row.status,
        brand=row.brand,
        last4=row.last4,
        expires=row.expires,
        test_money=test_money,
    )
