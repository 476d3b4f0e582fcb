"""What payments refuse about money that comes in and goes out: numbers 840-869."""

from protocols.errors import Refusal


class TopUpNotFound(Refusal):
    """You have no such top-up."""

    code, number, status = "top_up_not_found", 840, 404


class AmountOutOfRange(Refusal):
    """The amount is below the least or above the most that is taken at a time in this currency."""

    code, number, status = "amount_out_of_range", 841, 422
    example = {"minimum": 100, "maximum": 1_000_000, "currency": "EUR"}  # noqa: RUF012 - never changed


class DailyLimitReached(Refusal):
    """With this amount you would exceed what may come in or go out within 24 hours."""

    code, number, status = "daily_limit_reached", 842, 422
    example = {"left": 50_000, "currency": "EUR"}  # noqa: RUF012 - never changed


class CurrencyNotOffered(Refusal):
    """Money of this currency is neither taken in nor paid out."""

    code, number, status = "currency_not_offered", 843, 422


class TopUpEnded(Refusal):
    """The top-up has succeeded or was given back; ask for a refund instead."""

    code, number, status = "top_up_ended", 844, 409
    example = {"top_up_status": "succeeded"}  # noqa: RUF012 - never changed


class MethodNotFound(Refusal):
    """You have no such saved payment method."""

    code, number, status = "method_not_found", 845, 404


class SignatureInvalid(Refusal):
    """The webhook is not signed by a secret of ours, or was signed too long ago."""

    code, number, status = "signature_invalid", 846, 400


class RefundTooLarge(Refusal):
    """More was asked back than is left of the top-up."""

    code, number, status = "refund_too_large", 847, 422
    example = {"left": 1_250, "currency": "EUR"}  # noqa: RUF012 - never changed


class TopUpNotRefundable(Refusal):
    """Only a top-up that succeeded, and that nobody disputes, can be refunded."""

    code, number, status = "top_up_not_refundable", 848, 409
    example = {"top_up_status": "processing"}  # noqa: RUF012 - never changed


class PayoutAccountMissing(Refusal):
    """You have no payout account; make one first."""

    code, number, status = "payout_account_missing", 849, 409


class PayoutAccountNotActive(Refusal):
    """The provider does not pay out to your account yet, or any more; follow the onboarding link."""

    code, number, status = "payout_account_not_active", 850, 409
    example = {"account_status": "pending"}  # noqa: RUF012 - never changed


class PayoutNotFound(Refusal):
    """You have no such payout."""

    code, number, status = "payout_not_found", 851, 404


class PayoutSent(Refusal):
    """The payout may have left already and cannot be taken back."""

    code, number, status = "payout_sent", 852, 409
    example = {"payout_status": "sent"}  # noqa: RUF012 - never changed


class NoTestMoney(Refusal):
    """This server moves real money; the test provider is not in use."""

    code, number, status = "test_money_off", 853, 404


class NoTestPayment(Refusal):
    """The test provider has nothing under this secret or id that waits for you."""

    code, number, status = "no_test_payment", 854, 409


class ProviderRefused(Refusal):
    """The payment provider said no; `reason` is its word for why."""

    code, number, status = "provider_refused", 855, 402
    example = {"reason": "card_declined"}  # noqa: RUF012 - never changed


class DebtUnpaid(Refusal):
    """You owe the market after a chargeback: nothing is paid out, in any currency, until it is paid."""

    code, number, status = "debt_unpaid", 856, 409
    example = {"owed": 1_250, "currency": "EUR"}  # noqa: RUF012 - never changed


class TooManyMethods(Refusal):
    """You have as many saved payment methods as one may; remove one first."""

    code, number, status = "too_many_methods", 857, 409
    example = {"maximum": 10}  # noqa: RUF012 - never changed


class ReconciliationNotFound(Refusal):
    """There is no report of this day."""

    code, number, status = "reconciliation_not_found", 858, 404
