"""Who may follow which channel, and how it behaves: the one table of channel permissions, deny by default.

Source: INTERFACE section 2. Both doors ask here: sockets through the gate, `GET /v1/channels/…/events` through the app.
"""

from collections import OrderedDict

from handlers.contract import Caller
from protocols.errors import NotAllowed, UnknownChannel
from protocols.topics import Kind, auction_channel, parse_channel, parse_id, personal_channel
from realtime.ports import ChannelRule, Lane
from server.channels.log import ChannelLog

TICKER_INTERVAL_MS = 100
"""A ticker or a listing's stock shows at most ten values a second to each reader."""

KNOWN_MAX = 100_000
"""Channels remembered to exist; an aggregate that exists stays, so the memory never lies."""

_REPLAYED = ChannelRule(Lane.REPLAYED, delta=True)
PERSONAL_RULE = _REPLAYED
"""Of a user's own personal channel, which every connection of theirs follows."""
_TICKER = ChannelRule(Lane.LATEST, TICKER_INTERVAL_MS, delta=True)
_STOCK = ChannelRule(Lane.LATEST, TICKER_INTERVAL_MS)


class ChannelPermissions:
    """Decides with the token's facts and one look whether the aggregate exists."""

    def __init__(self, log: ChannelLog) -> None:
        """Remember existing channels; `log` knows the others."""
        self._log = log
        self._known: OrderedDict[str, None] = OrderedDict()

    async def authorize(self, caller: Caller, channel: str) -> ChannelRule:
        """Return how the channel behaves for the caller. Raises UnknownChannel, NotAllowed."""
        parsed = parse_channel(channel)
        aggregate_id = parse_id(parsed[1]) if parsed else None
        if parsed is None or aggregate_id is None:
            raise UnknownChannel
        kind = parsed[0]
        if kind is Kind.PERSONAL:
            if channel != personal_channel(aggregate_id):
                raise UnknownChannel
            if caller.user_id != aggregate_id:
                raise NotAllowed("A personal channel is for its user alone")
            return PERSONAL_RULE
        if kind in {Kind.AUCTIONS, Kind.TICKER}:
            await self._require(auction_channel(aggregate_id))
            return _REPLAYED if kind is Kind.AUCTIONS else _TICKER
        if kind is Kind.STOCK:
            await self._require_value(channel)
            return _STOCK
        raise UnknownChannel

    async def _require(self, stream: str) -> None:
        if not self._is_known(stream):
            if not (await self._log.heads([stream]))[stream]:
                raise UnknownChannel
            self._know(stream)

    async def _require_value(self, channel: str) -> None:
        """Let through to a latest channel that has a value: a draft has none, and never loses it once published."""
        if not self._is_known(channel):
            if not await self._log.newest(channel):
                raise UnknownChannel
            self._know(channel)

    def _is_known(self, name: str) -> bool:
        if name not in self._known:
            return False
        self._known.move_to_end(name)
        return True

    def _know(self, name: str) -> None:
        self._known[name] = None
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
