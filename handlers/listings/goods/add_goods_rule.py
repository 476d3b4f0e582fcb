"""Add a rule of goods."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.goods.change_goods_rule import write_version
from handlers.listings.goods.verdicts import check_terms
from handlers.listings.rules import refuse
from protocols.listings.goods import AddGoodsRule
from protocols.values import new_id
from storage.listings.goods_postgres import count_rules, lock_rules

RULES_MAX = 2_000
"""Rules that hold at a time: each is looked at when goods of its country are checked."""


async def add_goods_rule(command: AddGoodsRule, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Make the first version of a rule; it holds for what is published or checked from now on.

    Raises: InvalidInput, CategoryNotFound.
    """
    await check_terms(stores.db, command)
    await lock_rules(stores.db)
    if await count_rules(stores.db) >= RULES_MAX:
        refuse("", f"There are {RULES_MAX} rules; join some of them first")
    return await write_version(command, new_id(), 1, caller, stores, now_ms)
