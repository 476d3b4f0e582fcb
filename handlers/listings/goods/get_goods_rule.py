"""Read a rule of goods and its history."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.goods.verdicts import to_goods_rule
from protocols.listings.goods import GetGoodsRule, GoodsRuleHistory, GoodsRuleNotFound
from storage.listings.goods_postgres import read_versions

HISTORY_MAX = 100
"""Versions one answer shows."""


async def get_goods_rule(
    command: GetGoodsRule,
    caller: Caller,  # noqa: ARG001 - everybody sees the same
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - the newest version holds
) -> Outcome:
    """Return the newest version, removed or not, and those before it. Raises GoodsRuleNotFound."""
    history = [to_goods_rule(row) for row in await read_versions(stores.db, command.rule_id, HISTORY_MAX)]
    if not history:
        raise GoodsRuleNotFound
    return Outcome(GoodsRuleHistory(current=history[0], history=history))
