"""Make the next version of the commission rules. Rules: rules.py."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.commission.rules import check_categories, check_rules
from handlers.payments.commission.views import to_version
from protocols.payments.commission import SetCommission
from protocols.values import to_instant
from storage.listings.lookups import find_categories
from storage.payments.commission_postgres import CommissionVersionRow, insert_version, lock_versions


async def set_commission(command: SetCommission, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Write the rules for deals that are quoted from an instant on. Raises InvalidInput."""
    starts_at = command.effective_from
    effective_from_ms = now_ms if starts_at is None else to_instant(starts_at)
    check_rules(command, effective_from_ms, now_ms)
    named = {slug for rule in command.rules for slug in rule.categories}
    if named:
        check_categories(command.rules, await find_categories(stores.db, named))
    row = CommissionVersionRow(
        version=await lock_versions(stores.db) + 1,
        effective_from_ms=max(effective_from_ms, now_ms),
        rules=command.rules,
        taxes=command.taxes,
        set_by=caller.id,
        set_at_ms=now_ms,
    )
    await insert_version(stores.db, row)
    return Outcome(to_version(row))
