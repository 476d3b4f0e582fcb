"""The timers of a domain, as tests run them by name."""

from handlers.domain import URGENT, Domain, TimerHandler, TimerKind


def timer_handlers(domain: Domain) -> dict[str, TimerHandler]:
    """Return what runs when a timer of a kind is due."""
    return {kind.name: kind.handler for kind in domain.timers}


def urgent_lane(kinds, prepare) -> dict[str, list[TimerKind]]:
    """Return lanes in which kinds (name -> handler) are urgent and prepared by one function."""
    return {URGENT: [TimerKind(name=n, handler=h, prepare=prepare, lane=URGENT) for n, h in kinds.items()]}


def lane(kinds) -> list[TimerKind]:
    """Return the kinds (name -> handler) of one lane that is not urgent."""
    return [TimerKind(name=name, handler=handler) for name, handler in kinds.items()]
