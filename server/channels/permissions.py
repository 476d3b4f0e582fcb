"""Channel permissions: which caller may subscribe to which channel, by the domains' channel kinds; deny by default.

Subscribes over sockets and `GET /v1/channels/…/events` ask here, both through `DelegatedPermissions`.
"""

from collections import OrderedDict
from uuid import UUID

from handlers.contract import Caller
from handlers.domain import ChannelKind, ChannelKinds
from protocols.errors import NotAllowed, UnknownChannel
from realtime.ports import ChannelRule
from storage.engines.postgres import Database

KNOWN_MAX = 100_000
"""Channels remembered to exist; aggregates are never deleted, so an entry stays true."""


def rule_of(kind: ChannelKind) -> ChannelRule:
    """Return how channels of a kind behave."""
    return ChannelRule(kind.lane, kind.interval_ms, delta=kind.delta, ping_s=kind.ping_s)


class ChannelPermissions:
    """Decides by the caller and at most one query of the database."""

    def __init__(self, kinds: ChannelKinds, database: Database) -> None:
        """Remember channels that exist; ask the database for others, and for all memberships."""
        self.kinds = kinds
        self._database = database
        self._known: OrderedDict[str, None] = OrderedDict()

    async def authorize(self, caller: Caller, channel: str) -> ChannelRule:
        """Return how the channel behaves for the caller.

        Raises: UnknownChannel, NotAllowed, TemporarilyUnavailable. Cost: none, or one round trip.
        """
        found = self.kinds.find(channel)
        if found is None:
            raise UnknownChannel
        kind, aggregate_id = found
        if kind.owner_only:
            if caller.user_id != aggregate_id:
                raise NotAllowed("A personal channel is for its user alone")
        elif not await self._may_follow(kind, aggregate_id, caller, channel):
            raise UnknownChannel
        return rule_of(kind)

    async def _may_follow(self, kind: ChannelKind, aggregate_id: UUID, caller: Caller, channel: str) -> bool:
        """Whether the channel exists for this caller; to those who are not members it does not."""
        if kind.member is not None:
            async with self._database.connection() as db:
                return await kind.member(db, aggregate_id, caller)
        if channel in self._known:
            self._known.move_to_end(channel)
            return True
        assert kind.exists is not None, "a channel kind is decided about in one way"
        async with self._database.connection() as db:
            exists = await kind.exists(db, aggregate_id)
        if exists:
            self._known[channel] = None
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        return exists
