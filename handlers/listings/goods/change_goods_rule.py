"""Replace a rule of goods."""

from uuid import UUID

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.goods.verdicts import check_terms, to_goods_rule
from protocols.listings.goods import ChangeGoodsRule, GoodsRuleNotFound, RuleTerms
from storage.listings.goods_postgres import RuleRow, insert_version, lock_rules, read_versions


async def change_goods_rule(command: ChangeGoodsRule, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Make a new version of a rule; one that was removed holds again.

    Raises: GoodsRuleNotFound, InvalidInput, CategoryNotFound.
    """
    await check_terms(stores.db, command)
    await lock_rules(stores.db)
    newest = await read_versions(stores.db, command.rule_id, 1)
    if not newest:
        raise GoodsRuleNotFound
    return await write_version(command, command.rule_id, newest[0].version + 1, caller, stores, now_ms)


async def write_version(
    terms: RuleTerms, rule_id: UUID, version: int, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Write what a rule says from now on; the rules are locked."""
    row = RuleRow(
        rule_id=rule_id,
        version=version,
        removed=False,
        country=terms.country,
        category=terms.category or None,
        words=terms.words,
        kind=terms.kind,
        reason=terms.reason.strip(),
        source=terms.source.strip(),
        set_at_ms=now_ms,
    )
    await insert_version(stores.db, row, caller.id)
    return Outcome(to_goods_rule(row))
