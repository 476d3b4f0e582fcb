"""Subscribing: the style and the recovery that a client gets, and the state in its subscribe reply.

Everything here happens in one step of the event loop, so no push can be lost between that state and the registration.
"""

import time
from collections.abc import Sequence

from msgspec import Raw

from protocols.wire.centrifuge import (
    COMPACT_CHANNEL,
    REJECT_UNRECOVERED,
    ErrorCode,
    SubscribeRequest,
    SubscribeResult,
)
from realtime.channels.channel import Channel
from realtime.channels.fanout import PLAIN, Style, keep
from realtime.channels.latest import LatestChannel
from realtime.channels.publication import Publication, encode_for_delta
from realtime.channels.replayed import ReplayedChannel
from realtime.channels.tags import BadFilterError, TagsFilter
from realtime.codecs import Codec
from realtime.hub import Hub
from realtime.ports import ChannelRule, Lane, ProtocolError
from realtime.transport.writer import Writer

_NO_REQUEST = SubscribeRequest()


def join(
    hub: Hub, writer: Writer, channel: Channel, rule: ChannelRule, request: SubscribeRequest
) -> SubscribeResult:
    """Register a reader and return the state of its subscription.

    Raises: ProtocolError 107 for a filter that is not allowed or means nothing, 112 when the client insists on a
    recovery that is impossible.
    """
    style = _choose_style(writer, channel, rule, request)
    if isinstance(channel, ReplayedChannel):
        result = _join_replayed(hub, writer, channel, rule, request, style)
    else:
        assert isinstance(channel, LatestChannel)
        result = _join_latest(hub, writer, channel, rule, request, style)
    result.id, result.delta = style.push_id, style.delta
    if rule.expires_at_s:
        result.expires, result.ttl = True, seconds_left(rule.expires_at_s)
    return result


def join_by_server(
    hub: Hub, writer: Writer, channel: Channel, rule: ChannelRule, request: SubscribeRequest | None
) -> SubscribeResult:
    """Register a reader whose subscription the server begins; of a request only the position counts."""
    asked = request or _NO_REQUEST
    position = SubscribeRequest(recover=asked.recover, epoch=asked.epoch, offset=asked.offset)
    return join(hub, writer, channel, rule, position)


def is_positioned(rule: ChannelRule, request: SubscribeRequest) -> bool:
    """Whether the subscription has a position in its channel and can be recovered from it."""
    return rule.recovery or rule.lane is Lane.LATEST or request.recoverable or request.positioned


def is_epoch(hub: Hub, epoch: str) -> bool:
    """Whether offsets of this epoch are valid here; an empty epoch stands for any."""
    return epoch in {"", hub.log.epoch}


def missed_from(hub: Hub, request: SubscribeRequest | None) -> int | None:
    """Return the offset that a client wants to recover from, or None when it does not or its epoch is another one."""
    if request is None or not request.recover or not is_epoch(hub, request.epoch):
        return None
    return request.offset


def seconds_left(expires_at_s: int) -> int:
    """Return the ttl in seconds of what expires then, at least 1."""
    return max(1, expires_at_s - int(time.time()))


def check_not_expired(rule: ChannelRule) -> None:
    """Raise ProtocolError 110 when the time of a subscription is past before it begins."""
    if rule.expires_at_s and rule.expires_at_s <= time.time():
        raise ProtocolError(ErrorCode.EXPIRED, "expired")


def oldest_kept_ms(rule: ChannelRule) -> int:
    """Return the instant before which the channel's history is forgotten; 0 when it never is."""
    return int((time.time() - rule.history_ttl_s) * 1000) if rule.history_ttl_s else 0


def _choose_style(writer: Writer, channel: Channel, rule: ChannelRule, request: SubscribeRequest) -> Style:
    """Return the style that the client asked for, as far as the rule allows it.

    Compaction is for JSON clients only: the JavaScript SDK reads a Protobuf number as an object where the package
    `long` is installed, compares it by identity and drops every push.
    """
    tags = None
    if request.tf is not None:
        if not rule.tags_filter or request.delta:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request")
        try:
            tags = TagsFilter(request.tf)
        except BadFilterError as error:
            raise ProtocolError(ErrorCode.BAD_REQUEST, "bad request") from error
    offered = request.flag & COMPACT_CHANNEL and not writer.codec.binary
    push_id = channel.push_id if rule.compaction and offered else 0
    delta = rule.delta and request.delta == "fossil" and is_positioned(rule, request)
    return Style(push_id, delta, tags) if push_id or delta or tags else PLAIN


def _join_replayed(
    hub: Hub,
    writer: Writer,
    channel: ReplayedChannel,
    rule: ChannelRule,
    request: SubscribeRequest,
    style: Style,
) -> SubscribeResult:
    base = None
    result = SubscribeResult()
    if is_positioned(rule, request):
        result.recoverable = result.positioned = True
        result.epoch, result.offset = hub.log.epoch, channel.head
        if request.recover:
            result.was_recovering = True
            missed = _missed(hub, channel, rule, request)
            if missed is None:
                hub.counters.recoveries_refused += 1
                if request.flag & REJECT_UNRECOVERED:
                    raise ProtocolError(ErrorCode.UNRECOVERABLE_POSITION, "unrecoverable position")
            else:
                hub.counters.recoveries += 1
                result.recovered, result.offset = True, request.offset
                result.publications = _embed(writer.codec, style, missed)
                base = missed[-1] if missed else None
    channel.add(writer, style, base)
    return result


def _missed(
    hub: Hub, channel: ReplayedChannel, rule: ChannelRule, request: SubscribeRequest
) -> Sequence[Publication] | None:
    """Return all publications after the client's position, or None when that is impossible."""
    missed = channel.since(request.offset) if is_epoch(hub, request.epoch) else None
    if not missed:
        return missed
    forgotten = rule.history_size and len(missed) > rule.history_size
    return None if forgotten or missed[0].at_ms < oldest_kept_ms(rule) else missed


def _join_latest(
    hub: Hub,
    writer: Writer,
    channel: LatestChannel,
    rule: ChannelRule,
    request: SubscribeRequest,
    style: Style,
) -> SubscribeResult:
    """Register a reader of a latest channel; recovery gives it the newest values."""
    result = SubscribeResult(recoverable=True, epoch=hub.log.epoch, offset=channel.top())
    if request.recover:
        result.was_recovering = True
        values = channel.current(rule.interval_ms)
        if values:
            result.recovered, result.offset = True, request.offset
            result.publications = _embed(writer.codec, style, values)
            hub.counters.recoveries += 1
    channel.add(writer, rule.interval_ms, style)
    return result


def _embed(codec: Codec, style: Style, publications: Sequence[Publication]) -> list[Raw]:
    """Return publications in the style of the subscription."""
    if style.delta:
        return codec.embed(encode_for_delta(codec, publications))
    return codec.embed([publication.encoded(codec) for publication in keep(style, publications)])
