"""All domains of the market. A new one is a line here, its own folders, and its names in the import contracts."""

from itertools import chain

from handlers import auctions, auth, ledger, listings, notifications, payments
from handlers.contract import Route
from handlers.domain import (
    ChannelKind,
    ChannelKinds,
    Domain,
    JobKind,
    LoopKind,
    ReactionKind,
    Retention,
    TimerKind,
    ToolKind,
)
from server.channels import lag
from storage.platform.vault import Vault

Domains = tuple[Domain, ...]

DOMAINS: Domains = (
    auth.DOMAIN,
    listings.DOMAIN,
    auctions.DOMAIN,
    lag.DOMAIN,
    payments.DOMAIN,
    notifications.DOMAIN,
    ledger.DOMAIN,
)

PLATFORM_TOOLS: tuple[type, ...] = (Vault, ChannelKinds)
"""Tools that every process has, whatever domains it serves."""


def routes_of(domains: Domains) -> tuple[Route, ...]:
    """Return every command and query. Raises AssertionError for two of one name."""
    routes = tuple(chain.from_iterable(domain.routes for domain in domains))
    _refuse_twins("routes", [route.name for route in routes])
    return routes


def channels_of(domains: Domains) -> tuple[ChannelKind, ...]:
    """Return every kind of channel."""
    return tuple(chain.from_iterable(domain.channels for domain in domains))


def timers_of(domains: Domains) -> dict[str, tuple[TimerKind, ...]]:
    """Return the kinds of timers by lane. Raises AssertionError for two of one name: the name is what is stored."""
    lanes: dict[str, tuple[TimerKind, ...]] = {}
    for domain in domains:
        for kind in domain.timers:
            lane = kind.lane or domain.name
            lanes[lane] = (*lanes.get(lane, ()), kind)
    _refuse_twins("timers", [kind.name for kinds in lanes.values() for kind in kinds])
    return lanes


def reactions_of(domains: Domains) -> dict[str, ReactionKind]:
    """Return the reactions by the names under which they are stored, `<domain>.on_<fact>`.

    Raises AssertionError for two of one name, and for a fact that no domain states.
    """
    found = [(f"{domain.name}.{kind.name}", kind) for domain in domains for kind in domain.reactions]
    _refuse_twins("reactions", [name for name, _ in found])
    stated = [fact for domain in domains for fact in domain.facts]
    _refuse_twins("facts", [fact.__name__ for fact in stated])
    if missing := [name for name, kind in found if kind.fact not in stated]:
        raise AssertionError(f"reactions to facts that no domain states: {', '.join(missing)}")
    return dict(found)


def jobs_of(domains: Domains) -> dict[str, JobKind]:
    """Return the jobs by the names under which they are stored, `<domain>.<job>`. Raises AssertionError for twins."""
    found = [(f"{domain.name}.{kind.name}", kind) for domain in domains for kind in domain.jobs]
    _refuse_twins("jobs", [name for name, _ in found])
    return dict(found)


def loops_of(domains: Domains) -> dict[str, LoopKind]:
    """Return the loops by name, `<domain>.<loop>`. Raises AssertionError for twins."""
    found = [(f"{domain.name}.{kind.name}", kind) for domain in domains for kind in domain.loops]
    _refuse_twins("loops", [name for name, _ in found])
    return dict(found)


def retention_of(domains: Domains) -> tuple[Retention, ...]:
    """Return what is deleted once it is old."""
    return tuple(chain.from_iterable(domain.retention for domain in domains))


def tools_of(domains: Domains) -> tuple[ToolKind, ...]:
    """Return the tools to open. Raises AssertionError for a need that nobody meets."""
    tools = tuple(chain.from_iterable(domain.tools for domain in domains))
    offered = [*PLATFORM_TOOLS, *(tool.kind for tool in tools)]
    _refuse_twins("tools", [kind.__name__ for kind in offered])
    missing = [
        f"{domain.name} needs {kind.__name__}"
        for domain in domains
        for kind in domain.needs
        if kind not in offered
    ]
    if missing:
        raise AssertionError(f"no domain offers these tools: {', '.join(missing)}")
    return tools


def _refuse_twins(what: str, names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise AssertionError(f"{what} that two domains declare: {', '.join(twins)}")


ROUTES = routes_of(DOMAINS)
