"""Decisions about money that comes in and goes out, by values."""

from typing import get_args

import pytest

from handlers.payments.checks import DAY_MS, HOUR_MS, MINUTE_MS, next_check_ms
from handlers.payments.limits import OFFERED, check_amount
from handlers.payments.top_ups.rules import OPEN, Decision, observe
from protocols.currencies import EXPONENTS
from protocols.payments.provider import PaymentStatus
from protocols.payments.provider_refusals import AmountOutOfRange, CurrencyNotOffered, DailyLimitReached
from protocols.payments.top_ups import TopUpStatus
from storage.payments.stripe_objects import to_account, to_dispute, to_movement, to_payment

STATUSES = get_args(TopUpStatus)
SEEN = get_args(PaymentStatus)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("status", STATUSES)
def test_what_a_top_up_becomes_by_what_is_seen(status, seen):
    wanted = {
        "canceled": Decision("canceled", is_late=seen == "succeeded"),
        "succeeded": Decision("succeeded"),
        "refunded": Decision("refunded"),
    }
    assert observe(status, seen) == wanted.get(status, Decision(seen, is_paid=seen == "succeeded"))


def test_whatever_is_seen_in_whatever_order_money_is_booked_once_and_never_undone():
    paths = [[first, second, third] for first in SEEN for second in SEEN for third in SEEN]
    for path in paths:
        for cancel_before in (None, 0, 1, 2):
            status, paid = "created", 0
            for place, seen in enumerate(path):
                if cancel_before == place and status in OPEN:
                    status = "canceled"
                decision = observe(status, seen)
                status, paid = decision.status, paid + decision.is_paid
            assert paid == (status == "succeeded")


def test_a_silent_provider_is_asked_for_a_week_and_what_it_knows_for_a_day():
    unknown = [next_check_ms(n, is_known=False) for n in range(8)]
    assert unknown == [5 * MINUTE_MS, HOUR_MS, *[DAY_MS] * 5, None]
    known = [next_check_ms(n, is_known=True) for n in range(4)]
    assert known == [5 * MINUTE_MS, HOUR_MS, DAY_MS, None]


@pytest.mark.parametrize(
    ("amount", "currency", "spent", "refusal"),
    [
        (100, "EUR", 0, None),
        (99, "EUR", 0, AmountOutOfRange),
        (500_000, "EUR", 500_000, None),
        (500_001, "EUR", 0, AmountOutOfRange),
        (500_000, "EUR", 500_001, DailyLimitReached),
        (100, "JPY", 0, None),
        (99, "JPY", 0, AmountOutOfRange),
        (100, "XOF", 0, CurrencyNotOffered),
        (100, "EUR", 10**12, DailyLimitReached),
    ],
)
def test_limits_are_in_units_of_the_currency(amount, currency, spent, refusal):
    if refusal is None:
        check_amount(amount, currency, spent)
    else:
        with pytest.raises(refusal) as refused:
            check_amount(amount, currency, spent)
        assert refused.value.facts.get("left", 0) >= 0


def test_every_currency_that_is_offered_has_decimals_that_stripe_takes():
    assert all(EXPONENTS[currency] in {0, 2} for currency in OFFERED)
    assert all(limits.least <= limits.most <= limits.day for limits in OFFERED.values())


# -- what Stripe's objects say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "failure"),
    [
        ({"status": "requires_payment_method"}, "requires_action", ""),
        (
            {"status": "requires_payment_method", "last_payment_error": {"code": "card_declined"}},
            "failed",
            "card_declined",
        ),
        (
            {
                "status": "requires_payment_method",
                "last_payment_error": {"code": "card_declined", "decline_code": "lost_card"},
            },
            "failed",
            "card_declined",
        ),
        (
            {
                "status": "requires_payment_method",
                "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"},
            },
            "failed",
            "insufficient_funds",
        ),
        ({"status": "requires_action", "last_payment_error": {"code": "x"}}, "requires_action", ""),
        ({"status": "succeeded", "latest_charge": "ch_1"}, "succeeded", ""),
        ({"status": "succeeded", "latest_charge": {"id": "ch_1"}}, "succeeded", ""),
    ],
)
def test_a_payment_intent(changes, status, failure):
    seen = to_payment({"id": "pi_1", "amount": 5, "currency": "eur", "metadata": None} | changes)
    assert (seen.status, seen.failure, seen.currency) == (status, failure, "EUR")
    assert (seen.entry, seen.own_id) == ("ch_1" if status == "succeeded" else "", None)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "pending"),
        ({"details_submitted": True}, "restricted"),
        ({"payouts_enabled": True, "capabilities": {"transfers": "active"}}, "active"),
        ({"payouts_enabled": True, "capabilities": {"transfers": "inactive"}}, "pending"),
        ({"payouts_enabled": True, "requirements": {"disabled_reason": "rejected.fraud"}}, "rejected"),
    ],
)
def test_an_account_is_active_once_it_can_be_paid_to(changes, status):
    assert to_account({"id": "acct_1"} | changes).status == status


def test_an_inquiry_takes_no_money_yet():
    about = {"id": "dp_1", "amount": 5, "currency": "eur", "payment_intent": "pi_1"}
    seen = {
        s: to_dispute(about | {"status": s}).status
        for s in ("warning_under_review", "warning_closed", "lost")
    }
    assert seen == {"warning_under_review": "inquiry", "warning_closed": "won", "lost": "lost"}


@pytest.mark.parametrize(
    ("kind", "source", "found"),
    [
        ("charge", {"id": "ch_1"}, ("charge", "ch_1")),
        ("refund_failure", "re_1", ("refund", "re_1")),
        ("adjustment", "dp_1", ("dispute", "dp_1")),
        ("adjustment", None, None),
        ("transfer_refund", {"id": "trr_1", "transfer": "tr_1"}, ("payout", "tr_1")),
        ("stripe_fee", None, None),
        ("payout", "po_1", None),
    ],
)
def test_a_line_of_the_balance_is_about_one_of_our_objects_or_nothing(kind, source, found):
    line = {
        "id": "txn_1",
        "type": kind,
        "source": source,
        "amount": 5,
        "fee": 1,
        "currency": "eur",
        "created": 7,
    }
    movement = to_movement(line)
    assert (movement and (movement.kind, movement.source)) == found
    assert movement is None or (movement.at_ms, movement.fee_minor) == (7_000, 1)
