"""The route tables and timers of all domains, joined."""

from collections.abc import Mapping

from handlers import auctions, auth, listings
from handlers.contract import Route, TimerHandler, TimerPreparation
from server.channels import lag

ROUTES: tuple[Route, ...] = (*auth.ROUTES, *listings.ROUTES, *auctions.ROUTES, *lag.ROUTES)
"""Every command and query, on both doors."""

TIMERS: Mapping[str, TimerHandler] = {**auctions.TIMERS, **listings.TIMERS}
"""What runs when a timer of a kind is due."""

URGENT: Mapping[str, TimerPreparation] = {**auctions.URGENT}
"""Kinds of timers that others wait for, with what can be done for them beforehand."""
