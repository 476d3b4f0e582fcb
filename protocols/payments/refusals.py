"""What payments refuse: numbers from 800 on."""

from protocols.errors import Refusal


class InsufficientFunds(Refusal):
    """The account does not have that much; top up, or wait until something held returns."""

    code, number, status = "insufficient_funds", 800, 422
    example = {"available": 1250, "currency": "EUR"}  # noqa: RUF012 - never changed


class AccountFrozen(Refusal):
    """Nothing may be taken from this account while it is frozen; support says why."""

    code, number, status = "account_frozen", 801, 409


class HoldNotFound(Refusal):
    """There is no such hold."""

    code, number, status = "hold_not_found", 802, 404


class HoldEnded(Refusal):
    """The hold was used or given back before."""

    code, number, status = "hold_ended", 803, 409
    example = {"hold_status": "posted"}  # noqa: RUF012 - never changed


class HoldExpired(Refusal):
    """The hold's time is over, and its money is the owner's again; take a new one."""

    code, number, status = "hold_expired", 804, 409


class HoldTooSmall(Refusal):
    """The hold has less than was to be taken of it."""

    code, number, status = "hold_too_small", 805, 422
    example = {"held": 1250, "currency": "EUR"}  # noqa: RUF012 - never changed


class TransferDiffers(Refusal):
    """A movement with this id happened before, and it was another one."""

    code, number, status = "transfer_differs", 806, 409


class BalanceTooLarge(Refusal):
    """An account would have more than can be counted exactly."""

    code, number, status = "balance_too_large", 807, 422


class EscrowNotFound(Refusal):
    """There is no such escrow, or you are no party to it."""

    code, number, status = "escrow_not_found", 830, 404


class EscrowFrozen(Refusal):
    """A dispute has frozen the escrow: nothing leaves it until the dispute is over."""

    code, number, status = "escrow_frozen", 831, 409


class EscrowReleased(Refusal):
    """Nothing is left in the escrow: it was released or refunded before."""

    code, number, status = "escrow_released", 832, 409
    example = {"escrow_status": "refunded"}  # noqa: RUF012 - never changed


class EscrowTooSmall(Refusal):
    """A line of the escrow has less left than was to be taken of it."""

    code, number, status = "escrow_too_small", 833, 422
    example = {"line": 0, "left": 1250, "currency": "EUR"}  # noqa: RUF012 - never changed


class EscrowNotFrozen(Refusal):
    """The escrow is not frozen."""

    code, number, status = "escrow_not_frozen", 834, 409
