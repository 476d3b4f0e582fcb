"""Get ten recovery codes in place of those there are."""

from handlers.auth.factors.codes import draw_recovery_codes
from handlers.contract import Caller, Outcome, Stores
from handlers.freshness import require_fresh
from protocols.auth.factors import FactorMissing, RecoveryCodes, ReplaceRecoveryCodes
from storage.auth.factors_postgres import lock_totp


async def replace_recovery_codes(
    _command: ReplaceRecoveryCodes, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Make them. Raises FactorMissing, StepUpRequired."""
    row = await lock_totp(stores.db, caller.id)
    if row is None or row.confirmed_at_ms is None:
        raise FactorMissing
    await require_fresh(stores, caller, now_ms)
    return Outcome(RecoveryCodes(codes=await draw_recovery_codes(stores, caller.id)))
