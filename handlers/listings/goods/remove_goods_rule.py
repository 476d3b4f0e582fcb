"""End a rule of goods."""

from dataclasses import replace

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.goods.verdicts import to_goods_rule
from protocols.listings.goods import GoodsRuleNotFound, RemoveGoodsRule
from storage.listings.goods_postgres import insert_version, lock_rules, read_versions


async def remove_goods_rule(command: RemoveGoodsRule, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Make a last version that holds no more; a removed rule stays as it is. Raises GoodsRuleNotFound."""
    await lock_rules(stores.db)
    newest = await read_versions(stores.db, command.rule_id, 1)
    if not newest:
        raise GoodsRuleNotFound
    if newest[0].removed:
        return Outcome(to_goods_rule(newest[0]))
    row = replace(newest[0], version=newest[0].version + 1, removed=True, set_at_ms=now_ms)
    await insert_version(stores.db, row, caller.id)
    return Outcome(to_goods_rule(row))
