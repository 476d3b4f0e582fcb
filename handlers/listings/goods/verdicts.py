"""Rules of goods as they are asked, checked and shown."""

from handlers.listings.rules import refuse
from protocols.countries import COUNTRIES
from protocols.labels import check_lines
from protocols.listings.goods import GoodsProhibited, GoodsReason, GoodsRule, RuleTerms
from protocols.listings.refusals import CategoryNotFound
from protocols.values import to_timestamp
from storage.engines.postgres import Connection
from storage.listings.goods_postgres import RuleRow, read_matching_rules
from storage.listings.listings_postgres import ListingRow, read_branch
from storage.listings.search_postgres import read_words

EVERYWHERE = "*"

REASONS_MAX = 20
"""Reasons one answer gives."""


async def find_reasons(
    db: Connection, countries: list[str], category: str | None, *texts: str
) -> list[GoodsReason]:
    """Return the rules that goods of a category with these texts fall under, prohibitions first."""
    rows = await read_matching_rules(db, countries, category, "\n\n".join(texts), REASONS_MAX)
    return [GoodsReason(**row) for row in rows]


async def refuse_prohibited(db: Connection, row: ListingRow) -> None:
    """Let a listing onto the market unless its goods are prohibited everywhere. Raises GoodsProhibited."""
    found = await find_reasons(db, [EVERYWHERE], row.category, row.title, row.description)
    reasons = [reason for reason in found if reason.kind == "prohibited"]
    if reasons:
        raise GoodsProhibited(reasons[0].reason, reasons=reasons)


def check_country(code: str, pointer: str) -> str:
    """Return the code of a country. Raises InvalidInput."""
    if code not in COUNTRIES:
        refuse(pointer, "This is not a country of ISO 3166-1")
    return code


async def check_terms(db: Connection, terms: RuleTerms) -> None:
    """Let a rule be set. Raises InvalidInput, CategoryNotFound."""
    if terms.country != EVERYWHERE:
        check_country(terms.country, "/country")
    if not terms.category and not terms.words:
        refuse("/words", "A rule names a category, words, or both")
    for name in ("words", "reason", "source"):
        if text := getattr(terms, name):
            check_lines(text, f"/{name}", "This text")
    if terms.words and await read_words(db, terms.words) is None:
        refuse("/words", "There is nothing to look for in these words")
    if terms.category and not await read_branch(db, terms.category):
        raise CategoryNotFound


def to_goods_rule(row: RuleRow) -> GoodsRule:
    """Return one version of a rule."""
    return GoodsRule(
        rule_id=row.rule_id,
        version=row.version,
        removed=row.removed,
        country=row.country,
        category=row.category or "",
        words=row.words,
        kind=row.kind,
        reason=row.reason,
        source=row.source,
        set_at=to_timestamp(row.set_at_ms),
    )
