"""The routes of signals, for support alone."""

from handlers.auctions.signals.list_signals import list_signals
from handlers.auctions.signals.resolve_signal import resolve_signal
from handlers.contract import Permission, Route
from protocols.auctions import signals as words
from protocols.errors import InvalidInput

SIGNAL_ROUTES: tuple[Route, ...] = (
    Route(
        domain="auctions",
        command=words.ListSignals,
        reply=words.SignalList,
        function=list_signals,
        method="GET",
        path="/v1/signals",
        permission=Permission.SUPPORT,
        cost=2,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="auctions",
        command=words.ResolveSignal,
        reply=words.Signal,
        function=resolve_signal,
        method="POST",
        path="/v1/signals/{signal_id}/resolve",
        permission=Permission.SUPPORT,
        cost=2,
        refusals=(words.SignalNotFound, words.SignalAlreadyResolved),
    ),
)
