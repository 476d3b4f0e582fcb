"""What is said on `treasury`."""

from msgspec import Struct

from protocols.payments.commands import AccountFault, Treasury

EVENTS: dict[str, type[Struct]] = {
    "treasury_changed": Treasury,
    "account_differs": AccountFault,
    "account_mended": AccountFault,
}
"""By the type that `Event` names."""
