"""The rules of deposits as pure functions: how large one may be, and until when it is kept."""

from handlers.auctions.guard_rules import default_limit
from handlers.auctions.rules import SaleTerms
from protocols.currencies import EXPONENTS

DAY_MS = 86_400_000

SETTLING_MS = 30 * DAY_MS
"""How long after the last possible end a deposit is kept for the settlement, which takes a second."""

ESCROW_MS = 60 * DAY_MS
"""How long a winner's deposit waits in the escrow of the deal before it returns."""


def deposit_fault(deposit: int | None, currency: str, least_price: int) -> str | None:
    """Return why a deposit is refused, or None. It fits into every price that the auction can end at."""
    if deposit is None or currency not in EXPONENTS:
        return None
    if deposit > least_price:
        return "The deposit must be at most the least price that the goods can be sold at"
    limit = default_limit(EXPONENTS[currency])
    return f"The deposit must be at most {limit}" if deposit > limit else None


def kept_until(terms: SaleTerms) -> int:
    """Return when the deposits of an auction are returned that nobody has settled."""
    soft = terms.soft_close
    extended_ms = soft.extend_ms * soft.max_extensions if soft else 0
    return terms.ends_at_ms + extended_ms + SETTLING_MS
