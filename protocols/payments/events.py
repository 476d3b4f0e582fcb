"""What payments tell users, each on the user's own channel."""

from msgspec import Struct

from protocols.payments.payouts import PayoutAccountChanged, PayoutChanged
from protocols.payments.top_ups import DisputeClosed, TopUpChanged, TopUpDisputed

PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "top_up_changed": TopUpChanged,
    "top_up_disputed": TopUpDisputed,
    "dispute_closed": DisputeClosed,
    "payout_changed": PayoutChanged,
    "payout_account_changed": PayoutAccountChanged,
}
"""By the type that `Event` names."""
