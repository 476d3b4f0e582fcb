"""What Stripe's objects say, in the words of the port. Pure."""

from typing import Any
from uuid import UUID

from protocols.payments.provider import (
    AccountStatus,
    DisputeStatus,
    Movement,
    MovementKind,
    PaymentStatus,
    PayoutStatus,
    ProviderAccount,
    ProviderDispute,
    ProviderMethod,
    ProviderPayment,
    ProviderPayout,
    ProviderRefund,
    RefundStatus,
)

OWN_ID = "mnbara_id"
"""The member of an object's metadata that holds our id."""

_PAYMENTS: dict[str, PaymentStatus] = {
    "requires_payment_method": "requires_action",
    "requires_confirmation": "requires_action",
    "requires_action": "requires_action",
    "processing": "processing",
    "succeeded": "succeeded",
    "canceled": "canceled",
}
_REFUNDS: dict[str, RefundStatus] = {
    "pending": "processing",
    "requires_action": "processing",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
_PAYOUTS: dict[str, PayoutStatus] = {
    "pending": "sent",
    "in_transit": "sent",
    "paid": "paid",
    "failed": "failed",
    "canceled": "failed",
}
_DISPUTES: dict[str, DisputeStatus] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "won",
    "prevented": "won",
    "needs_response": "open",
    "under_review": "open",
    "won": "won",
    "lost": "lost",
}
_MOVEMENTS: dict[str, MovementKind] = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund",
    "payment_failure_refund": "refund",
    "transfer": "payout",
    "transfer_refund": "payout",
    "transfer_cancel": "payout",
    "transfer_failure": "payout",
}

_TOLD = frozenset({"insufficient_funds", "expired_card", "incorrect_cvc", "withdrawal_count_limit_exceeded"})
"""Declines that help an honest payer."""

Object = dict[str, Any]


def own_id_of(made: Object) -> UUID | None:
    """Return the id of ours in an object's metadata."""
    text = (made.get("metadata") or {}).get(OWN_ID, "")
    try:
        return UUID(text)
    except (ValueError, AttributeError, TypeError):
        return None


def to_payment(made: Object) -> ProviderPayment:
    """Return a PaymentIntent. One whose last card was refused has failed, until another card is tried."""
    error = made.get("last_payment_error") or {}
    status = _PAYMENTS[made["status"]]
    if made["status"] == "requires_payment_method" and error:
        status = "failed"
    return ProviderPayment(
        reference=made["id"],
        own_id=own_id_of(made),
        status=status,
        amount_minor=made["amount"],
        currency=made["currency"].upper(),
        client_secret=made.get("client_secret") or "",
        failure=_failure(error) if status == "failed" else "",
        entry=_id_of(made.get("latest_charge")) if status == "succeeded" else "",
    )


def to_refund(made: Object) -> ProviderRefund:
    """Return a refund."""
    return ProviderRefund(
        reference=made["id"],
        own_id=own_id_of(made),
        status=_REFUNDS[made["status"]],
        failure=made.get("failure_reason") or "",
    )


def to_dispute(made: Object) -> ProviderDispute:
    """Return a dispute; an inquiry that was closed counts as won."""
    return ProviderDispute(
        reference=made["id"],
        payment=_id_of(made.get("payment_intent")),
        status=_DISPUTES[made["status"]],
        amount_minor=made["amount"],
        currency=made["currency"].upper(),
    )


def to_method(made: Object, customer: str) -> ProviderMethod:
    """Return a saved card."""
    card = made.get("card") or {}
    return ProviderMethod(
        reference=made["id"],
        customer=customer,
        brand=card.get("brand") or made["type"],
        last4=card.get("last4") or "",
        expires=f"{card['exp_year']}-{card['exp_month']:02d}" if card.get("exp_year") else "",
    )


def to_account(made: Object) -> ProviderAccount:
    """Return an account: active once it may receive transfers and payouts."""
    requirements = made.get("requirements") or {}
    reason = requirements.get("disabled_reason") or ""
    status: AccountStatus = "pending"
    if reason.startswith("rejected"):
        status = "rejected"
    elif made.get("payouts_enabled") and (made.get("capabilities") or {}).get("transfers") == "active":
        status = "active"
    elif made.get("details_submitted"):
        status = "restricted"
    return ProviderAccount(reference=made["id"], own_id=own_id_of(made), status=status)


def to_payout(made: Object, transfer: str) -> ProviderPayout:
    """Return a payout, named by its transfer and itself."""
    return ProviderPayout(
        reference=f"{transfer}:{made['id']}",
        own_id=own_id_of(made),
        status=_PAYOUTS[made["status"]],
        failure=made.get("failure_code") or "",
        entry=transfer,
    )


def to_lost_payout(transfer: Object, failure: str = "") -> ProviderPayout:
    """Return what is left of a payout whose transfer was taken back before the bank was asked."""
    return ProviderPayout(
        reference=f"{transfer['id']}:",
        own_id=own_id_of(transfer),
        status="failed",
        failure=failure or "payout_not_made",
        entry=transfer["id"],
    )


def to_movement(made: Object) -> Movement | None:
    """Return a balance transaction, None for one that is about none of our objects (a fee, the market's own payout)."""
    source = made.get("source")
    source_id = _id_of(source)
    kind = _MOVEMENTS.get(made["type"])
    if made["type"] == "adjustment" and source_id.startswith(("dp_", "du_")):
        kind = "dispute"
    if kind is None:
        return None
    if kind == "payout" and isinstance(source, dict) and source.get("transfer"):
        source_id = _id_of(source["transfer"])  # a reversal is about its transfer
    return Movement(
        reference=made["id"],
        kind=kind,
        source=source_id,
        amount_minor=made["amount"],
        fee_minor=made["fee"],
        currency=made["currency"].upper(),
        at_ms=made["created"] * 1000,
    )


def _failure(error: Object) -> str:
    """Return the word for why a card was refused. Who shows a stolen card is not told that it is known to be one."""
    declined = error.get("decline_code") or ""
    return declined if declined in _TOLD else error.get("code") or ""


def _id_of(value: Any) -> str:  # noqa: ANN401 - an id, an object in its place, or nothing
    if isinstance(value, dict):
        return str(value["id"])
    return str(value or "")
