"""What the market keeps of a deal: which rule applies to which line, and the parts of its fee. Pure.

Whatever the rules say, a fee and its tax fit into the line they are taken of.
"""

from collections.abc import Sequence

from protocols.payments.commission import CommissionAmounts, CommissionRule, FeeTax
from protocols.payments.deals import Deal, DealLine, Quote, QuoteLine
from storage.payments.rounding_rules import BASIS_POINTS, ROUNDINGS, allocate, divide, percentage


def quote_deal(version: int, rules: Sequence[CommissionRule], taxes: Sequence[FeeTax], deal: Deal) -> Quote:
    """Return what is kept of each line of a deal by a version of the rules. Cost: lines times rules."""
    tax_points = next((tax.basis_points for tax in taxes if tax.country == deal.country), 0)
    chosen = [_choose(rules, deal, line) for line in deal.lines]
    fees = [
        _fee(None if place is None else rules[place], deal, line, tax_points)
        for place, line in zip(chosen, deal.lines, strict=True)
    ]
    _apply_caps(rules, deal, chosen, fees)
    lines = [
        _to_line(line, place, rules, deal, fee, tax_points)
        for line, place, fee in zip(deal.lines, chosen, fees, strict=True)
    ]
    return Quote(version=version, currency=deal.currency, tax_basis_points=tax_points, lines=tuple(lines))


def _choose(rules: Sequence[CommissionRule], deal: Deal, line: DealLine) -> int | None:
    """Return the place of the rule that applies to a line: the most special, of equal ones the first."""
    fitting = [place for place, rule in enumerate(rules) if _fits(rule, deal, line)]
    return max(fitting, key=lambda place: (_dimensions(rules[place]), -place), default=None)


def _dimensions(rule: CommissionRule) -> int:
    return sum(map(bool, (rule.categories, rule.currencies, rule.kinds, rule.seller_levels)))


def _fits(rule: CommissionRule, deal: Deal, line: DealLine) -> bool:
    if line.shipping:
        return _dimensions(rule) == 0
    return (
        (not rule.categories or not set(rule.categories).isdisjoint(line.categories))
        and (not rule.currencies or deal.currency in rule.currencies)
        and (not rule.kinds or deal.kind in rule.kinds)
        and (not rule.seller_levels or deal.seller_level in rule.seller_levels)
    )


def _amounts(rule: CommissionRule, currency: str) -> CommissionAmounts:
    known = (amounts for amounts in rule.amounts if amounts.currency == currency)
    return next(known, CommissionAmounts(currency=currency))


def _fee(rule: CommissionRule | None, deal: Deal, line: DealLine, tax_points: int) -> int:
    """Return the fee of a line before the cap of the deal."""
    assert line.amount_minor > 0, "a line is paid for"
    if rule is None:
        return 0
    amounts = _amounts(rule, deal.currency)
    fee = percentage(line.amount_minor, rule.basis_points, "commission") + amounts.fixed
    fee = max(fee, amounts.minimum)
    if amounts.maximum is not None:
        fee = min(fee, amounts.maximum)
    room = divide(line.amount_minor * BASIS_POINTS, BASIS_POINTS + tax_points, ROUNDINGS["fee_bound"])
    return min(fee, room)


def _apply_caps(
    rules: Sequence[CommissionRule], deal: Deal, chosen: Sequence[int | None], fees: list[int]
) -> None:
    """Lower the fees of each rule that takes more of the deal than its cap, in proportion."""
    for used in {place for place in chosen if place is not None}:
        cap = _amounts(rules[used], deal.currency).cap
        lines = [at for at, place in enumerate(chosen) if place == used]
        if cap is None or sum(fees[at] for at in lines) <= cap:
            continue
        for at, fee in zip(lines, allocate(cap, [fees[at] for at in lines]), strict=True):
            fees[at] = fee


def _to_line(
    line: DealLine,
    place: int | None,
    rules: Sequence[CommissionRule],
    deal: Deal,
    fee: int,
    tax_points: int,
) -> QuoteLine:
    percent = fixed = 0
    if place is not None:
        percent = percentage(line.amount_minor, rules[place].basis_points, "commission")
        fixed = _amounts(rules[place], deal.currency).fixed
    return QuoteLine(
        amount_minor=line.amount_minor,
        rule=place,
        percent_minor=percent,
        fixed_minor=fixed,
        bound_minor=fee - percent - fixed,
        fee_minor=fee,
        tax_minor=percentage(fee, tax_points, "fee_tax"),
    )
