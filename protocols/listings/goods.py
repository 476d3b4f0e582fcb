"""Goods that may not be brought somewhere: rules as data. Commands, replies, refusals of the listings domain."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal
from protocols.values import Cursor, Key, PageLimit, Timestamp

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)", max_length=2, examples=["EG"])]
"""ISO 3166-1 alpha-2."""

RuleCountry = Annotated[str, Meta(pattern=r"^([A-Z]{2}|\*)$(?!\n)", max_length=2, examples=["*"])]
"""A country, or `*` for everywhere."""

RuleKind = Literal["prohibited", "restricted"]
Verdict = Literal["allowed", "restricted", "prohibited"]


class RuleTerms(Struct, frozen=True, kw_only=True):
    """What a rule says: goods of the category (or below it) that have the words, both where both are given."""

    country: RuleCountry
    category: Annotated[str, Meta(max_length=40)] = ""
    words: Annotated[str, Meta(max_length=500, examples=['"rhino horn" or "elephant ivory"'])] = ""
    """As in a search: all words, `or`, `"a phrase"`, `-not this`."""
    kind: RuleKind
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    """A sentence for the seller or buyer."""
    source: Annotated[str, Meta(min_length=1, max_length=300)]
    """Where it is written down."""


# -- Commands ----------------------------------------------------------------------------------------------------------


class CheckGoods(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask whether goods may be brought to a country: a listing, or a category with title and description."""

    destination: Country
    listing_id: UUID | None = None
    category: Annotated[str, Meta(max_length=40)] = ""
    title: Annotated[str, Meta(max_length=140)] = ""
    description: Annotated[str, Meta(max_length=1_000)] = ""
    """Its beginning: percent-encoded it travels in the address, which has a limit."""


class ListGoodsRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the rules that hold, all or those of one country."""

    country: RuleCountry | None = None
    limit: PageLimit = 100
    cursor: Cursor = ""


class GetGoodsRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a rule and its newest versions."""

    rule_id: UUID


class AddGoodsRule(RuleTerms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Add a rule."""

    key: Key = ""


class ChangeGoodsRule(RuleTerms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replace a rule, or bring a removed one back; the versions before stay readable."""

    rule_id: UUID
    key: Key = ""


class RemoveGoodsRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End a rule; repeating it changes nothing."""

    rule_id: UUID


# -- Replies -----------------------------------------------------------------------------------------------------------


class GoodsRule(RuleTerms, frozen=True, kw_only=True):
    """One version of a rule."""

    rule_id: UUID
    version: int
    removed: bool
    set_at: Timestamp


class GoodsRules(Struct, frozen=True, kw_only=True):
    """A page of rules."""

    items: list[GoodsRule]
    next_cursor: str | None


class GoodsRuleHistory(Struct, frozen=True, kw_only=True):
    """A rule as it holds, and its versions, newest first, a hundred at most."""

    current: GoodsRule
    history: list[GoodsRule]


class GoodsReason(Struct, frozen=True, kw_only=True):
    """A rule that the goods fall under."""

    rule_id: UUID
    kind: RuleKind
    country: str
    reason: str
    source: str


class GoodsVerdict(Struct, frozen=True, kw_only=True):
    """Whether goods may be brought to a country as far as the rules know; the strictest reason first."""

    destination: str
    verdict: Verdict
    reasons: list[GoodsReason]


# -- Refusals (617-618) ------------------------------------------------------------------------------------------------


class GoodsProhibited(Refusal):
    """These goods are prohibited everywhere and cannot be listed; `reasons` says why."""

    code, number, status = "goods_prohibited", 617, 422
    example: ClassVar[dict[str, Any]] = {
        "reasons": [
            {
                "rule_id": "01a1ff40-f719-7e86-a869-41b2b8694e1b",
                "kind": "prohibited",
                "country": "*",
                "reason": "International trade in ivory and rhinoceros horn is banned.",
                "source": "CITES, Appendix I",
            }
        ]
    }


class GoodsRuleNotFound(Refusal):
    """There is no such rule."""

    code, number, status = "goods_rule_not_found", 618, 404
