"""Which commission rules make sense, as values."""

from collections.abc import Iterator, Sequence

from protocols.countries import COUNTRIES
from protocols.currencies import EXPONENTS
from protocols.errors import InvalidInput
from protocols.payments.commission import CommissionRule, FeeTax, SetCommission

AHEAD_MAX_MS = 10 * 366 * 86_400_000
"""How far rules may be ahead; also, an offset can take a year 9999 beyond what a time can be written as."""

PAST_TOLERANCE_MS = 60_000
"""A start this little in the past means now: the client's clock or the network was slow."""

Fault = tuple[str, str]
"""A pointer into the command, and what is wrong there."""


def check_rules(command: SetCommission, effective_from_ms: int, now_ms: int) -> None:
    """Let a set of rules pass. Raises InvalidInput with a pointer to everything that does not fit."""
    faults = [*_time_faults(effective_from_ms, now_ms), *_tax_faults(command.taxes)]
    for place, rule in enumerate(command.rules):
        faults += ((f"/rules/{place}{pointer}", detail) for pointer, detail in _rule_faults(rule))
    refuse_faults(faults)


def check_categories(rules: Sequence[CommissionRule], known: set[str]) -> None:
    """Let rules pass whose categories exist. Raises InvalidInput."""
    refuse_faults(
        [
            (f"/rules/{place}/categories/{at}", "There is no such category")
            for place, rule in enumerate(rules)
            for at, slug in enumerate(rule.categories)
            if slug not in known
        ]
    )


def refuse_faults(faults: Sequence[Fault]) -> None:
    """Raise InvalidInput when there is one."""
    if faults:
        raise InvalidInput(faults[0][1], errors=[{"pointer": p, "detail": d} for p, d in faults])


def _time_faults(effective_from_ms: int, now_ms: int) -> Iterator[Fault]:
    if effective_from_ms < now_ms - PAST_TOLERANCE_MS:
        yield "/effective_from", "Rules cannot hold from the past: deals were quoted by others"
    if effective_from_ms > now_ms + AHEAD_MAX_MS:
        yield "/effective_from", "Rules begin within ten years"


def _tax_faults(taxes: Sequence[FeeTax]) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, tax in enumerate(taxes):
        if tax.country not in COUNTRIES:
            yield f"/taxes/{place}/country", "This is no country of ISO 3166"
        if tax.country in seen:
            yield f"/taxes/{place}/country", "This country has a rate already"
        seen.add(tax.country)


def _rule_faults(rule: CommissionRule) -> Iterator[Fault]:
    for at, currency in enumerate(rule.currencies):
        if currency not in EXPONENTS:
            yield f"/currencies/{at}", "This is not an active currency of ISO 4217"
    seen: set[str] = set()
    for at, amounts in enumerate(rule.amounts):
        if amounts.currency not in EXPONENTS:
            yield f"/amounts/{at}/currency", "This is not an active currency of ISO 4217"
        if amounts.currency in seen:
            yield f"/amounts/{at}/currency", "This currency has amounts already"
        seen.add(amounts.currency)
        if rule.currencies and amounts.currency not in rule.currencies:
            yield f"/amounts/{at}/currency", "The rule is not for this currency"
        if amounts.maximum is not None and amounts.maximum < amounts.minimum:
            yield f"/amounts/{at}/maximum", "The most is below the least"
        if amounts.cap is not None and amounts.cap < amounts.minimum:
            yield f"/amounts/{at}/cap", "The cap is below the least of a line"
