"""What stands above and below the movements of a statement."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Whose statement it is, of which money and time, and the balances before and after."""

    owner_id: UUID
    currency: str
    from_ms: int
    until_ms: int
    opening_minor: int
    closing_minor: int
