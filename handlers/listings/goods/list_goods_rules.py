"""Read the rules of goods that hold, page by page."""

from uuid import UUID

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.cursors import id_cursor, read_id
from handlers.listings.goods.verdicts import EVERYWHERE, check_country, to_goods_rule
from protocols.listings.goods import GoodsRules, ListGoodsRules
from storage.listings.goods_postgres import list_rules

_FIRST = UUID(int=0)


async def list_goods_rules(
    command: ListGoodsRules,
    caller: Caller,  # noqa: ARG001 - everybody sees the same
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - the newest version holds
) -> Outcome:
    """Return a page of rules, of one country (`*` for everywhere) or of all. Raises InvalidInput."""
    if command.country not in {None, EVERYWHERE}:
        check_country(command.country or "", "/country")
    after = read_id(command.cursor) if command.cursor else _FIRST
    rows = await list_rules(stores.db, after, command.country, command.limit + 1)
    page = rows[: command.limit]
    cursor = id_cursor(page[-1].rule_id) if len(rows) > len(page) else None
    return Outcome(GoodsRules(items=[to_goods_rule(row) for row in page], next_cursor=cursor))
