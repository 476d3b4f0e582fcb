"""Rules of goods: their part of the domain's table of contents."""

from handlers.contract import Permission, Route
from handlers.listings.goods.add_goods_rule import add_goods_rule
from handlers.listings.goods.change_goods_rule import change_goods_rule
from handlers.listings.goods.check_goods import check_goods
from handlers.listings.goods.get_goods_rule import get_goods_rule
from handlers.listings.goods.list_goods_rules import list_goods_rules
from handlers.listings.goods.remove_goods_rule import remove_goods_rule
from protocols.listings import goods as words
from protocols.listings.refusals import CategoryNotFound, ListingNotFound

ROUTES: tuple[Route, ...] = (
    Route(
        domain="listings",
        command=words.CheckGoods,
        reply=words.GoodsVerdict,
        function=check_goods,
        method="GET",
        path="/v1/goods/check",
        permission=Permission.ANYONE,
        cost=2,
        refusals=(ListingNotFound, CategoryNotFound),
    ),
    Route(
        domain="listings",
        command=words.ListGoodsRules,
        reply=words.GoodsRules,
        function=list_goods_rules,
        method="GET",
        path="/v1/goods-rules",
        permission=Permission.ANYONE,
        cost=2,
    ),
    Route(
        domain="listings",
        command=words.GetGoodsRule,
        reply=words.GoodsRuleHistory,
        function=get_goods_rule,
        method="GET",
        path="/v1/goods-rules/{rule_id}",
        permission=Permission.ANYONE,
        refusals=(words.GoodsRuleNotFound,),
    ),
    Route(
        domain="listings",
        command=words.AddGoodsRule,
        reply=words.GoodsRule,
        function=add_goods_rule,
        method="POST",
        path="/v1/goods-rules",
        permission=Permission.ADMIN,
        status=201,
        refusals=(CategoryNotFound,),
    ),
    Route(
        domain="listings",
        command=words.ChangeGoodsRule,
        reply=words.GoodsRule,
        function=change_goods_rule,
        method="PUT",
        path="/v1/goods-rules/{rule_id}",
        permission=Permission.ADMIN,
        refusals=(words.GoodsRuleNotFound, CategoryNotFound),
    ),
    Route(
        domain="listings",
        command=words.RemoveGoodsRule,
        reply=words.GoodsRule,
        function=remove_goods_rule,
        method="DELETE",
        path="/v1/goods-rules/{rule_id}",
        permission=Permission.ADMIN,
        refusals=(words.GoodsRuleNotFound,),
    ),
)
