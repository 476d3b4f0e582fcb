"""Answers what clients ask about a channel: history, presence, presence stats; and takes their publications.

The rule of the subscription decides, which may come from a token; without a subscription the application is asked.
"""

from collections.abc import Sequence

import msgspec

from protocols.wire.centrifuge import (
    ErrorCode,
    HistoryRequest,
    HistoryResult,
    PresenceRequest,
    PresenceResult,
    PresenceStatsRequest,
    PresenceStatsResult,
    PublishRequest,
    PublishResult,
)
from realtime.channels.publication import Publication
from realtime.connection.connection import OPEN, Connection
from realtime.connection.subscribing import is_epoch, oldest_kept_ms
from realtime.hub import Hub
from realtime.ports import ApplicationPort, ChannelRule, Entry, Lane, ProtocolError
from realtime.presence.presence_tracker import PresenceTracker


class ChannelQueries:
    """Serves the connections of one hub; each method raises ProtocolError for its refusals."""

    def __init__(self, hub: Hub, application: ApplicationPort) -> None:
        """Join hub and application."""
        self._hub, self._application = hub, application

    def check_channel(self, name: str) -> None:
        """Raise ProtocolError 107 for a name no channel can have."""
        if not name or len(name.encode()) > self._hub.limits.channel_name_max:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request")

    async def _rule(self, connection: Connection, name: str) -> ChannelRule:
        self.check_channel(name)
        known = connection.rule_of(name)
        return known if known is not None else await self._application.authorize(connection.identity, name)

    async def publish(self, connection: Connection, command_id: int, request: PublishRequest) -> None:
        """Have the application publish what a client sent, if the channel's rule allows it."""
        name, data = request.channel, bytes(request.data)
        rule = await self._rule(connection, name)
        if request.type or request.key or request.removed:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        if not rule.publish:
            raise ProtocolError(ErrorCode.PERMISSION_DENIED, "permission denied")
        if len(data) > self._hub.limits.publish_bytes_max:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "limit exceeded")
        if not (rule.any_bytes or is_json(data)):
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request")
        await self._application.publish(connection.identity, name, data, connection.describe(rule))
        if connection.state == OPEN:
            connection.answer(connection.codec.reply(command_id, PublishResult()))

    async def presence(self, connection: Connection, command_id: int, request: PresenceRequest) -> None:
        """Answer who is in a channel."""
        presence_tracker = await self._presence_tracker_of(connection, request.channel)
        members = await presence_tracker.members(request.channel, self._hub.limits.presence_members_max)
        if members is None:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "limit exceeded")
        if connection.state == OPEN:
            result = PresenceResult({client: msgspec.Raw(info) for client, info in members.items()})
            connection.answer(connection.codec.reply(command_id, result))

    async def presence_stats(
        self, connection: Connection, command_id: int, request: PresenceStatsRequest
    ) -> None:
        """Answer how many are in a channel; viewer counts do not tell users apart, so they count as many as clients."""
        viewer_counts = self._hub.viewer_counts
        group = None if viewer_counts is None else viewer_counts.group_of(request.channel)
        if viewer_counts is not None and group is not None:
            await self._rule(connection, request.channel)
            clients = users = await viewer_counts.count(group)
        else:
            presence_tracker = await self._presence_tracker_of(connection, request.channel)
            clients, users = await presence_tracker.count(request.channel)
        if connection.state == OPEN:
            result = PresenceStatsResult(num_clients=clients, num_users=users)
            connection.answer(connection.codec.reply(command_id, result))

    async def _presence_tracker_of(self, connection: Connection, name: str) -> PresenceTracker:
        rule = await self._rule(connection, name)
        presence_tracker = self._hub.presence_tracker
        if not rule.presence or presence_tracker is None:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        return presence_tracker

    async def history(self, connection: Connection, command_id: int, request: HistoryRequest) -> None:
        """Answer a page of a replayed channel and its top position."""
        name, log = request.channel, self._hub.log
        rule = await self._rule(connection, name)
        if rule.lane is not Lane.REPLAYED:
            raise ProtocolError(ErrorCode.NOT_AVAILABLE, "not available")
        since = request.since
        if since is not None and not is_epoch(self._hub, since.epoch):
            raise ProtocolError(ErrorCode.UNRECOVERABLE_POSITION, "unrecoverable position")
        top = (await log.heads([name])).get(name, 0)
        limit = self._hub.limits.history_entries_max
        if 0 <= request.limit < limit:
            limit = request.limit
        floor = max(0, top - rule.history_size) if rule.history_size else 0
        entries: Sequence[Entry] = ()
        if limit and request.reverse:
            before = since.offset if since is not None else top + 1
            entries = _kept(await log.read_backward(name, before, limit), rule, floor)
        elif limit:
            after = since.offset if since is not None else floor
            entries = _kept(await log.read(name, after, limit), rule, floor)
            trimmed = entries[0].number != after + 1 if entries else after < top
            if since is not None and trimmed:
                raise ProtocolError(ErrorCode.UNRECOVERABLE_POSITION, "unrecoverable position")
        if connection.state != OPEN:
            return
        codec = connection.codec
        page = [Publication(entry) for entry in self._within_bytes(entries)]
        result = HistoryResult(
            publications=codec.embed([publication.encoded(codec) for publication in page]),
            epoch=log.epoch,
            offset=max(top, *(publication.number for publication in page), 0),
        )
        connection.answer(codec.reply(command_id, result))

    def _within_bytes(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return as many entries as one answer may carry, at least one."""
        size = 0
        for index, entry in enumerate(entries):
            size += len(entry.data)
            if size > self._hub.limits.history_bytes_max and index:
                return entries[:index]
        return entries


def _kept(entries: Sequence[Entry], rule: ChannelRule, floor: int) -> Sequence[Entry]:
    """Return the entries within the history that the rule allows."""
    oldest_ms = oldest_kept_ms(rule)
    if not floor and not oldest_ms:
        return entries
    return [entry for entry in entries if entry.number > floor and entry.at_ms >= oldest_ms]


def is_json(data: bytes) -> bool:
    """Return whether bytes are JSON text; linear in their number."""
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
