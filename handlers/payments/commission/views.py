"""Versions of the commission rules as operators see them."""

from protocols.payments.commission import CommissionVersion
from protocols.values import to_timestamp
from storage.payments.commission_postgres import CommissionVersionRow


def to_version(row: CommissionVersionRow) -> CommissionVersion:
    """Return a version as the wire has it."""
    return CommissionVersion(
        version=row.version,
        effective_from=to_timestamp(row.effective_from_ms),
        rules=row.rules,
        taxes=row.taxes,
        set_by=row.set_by,
        set_at=to_timestamp(row.set_at_ms),
    )
