"""RPC `realtime.get_lag`: the clients that are behind in a channel, by the offsets that they report.

It queries the realtime core, which has no tables and no folder in handlers. Source: decision 0034.
"""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from handlers.contract import Caller, Outcome, Permission, Route, Stores
from handlers.domain import ChannelKinds, Domain
from protocols.channels import GetLag, Lag, ReaderLag
from protocols.cursors import read_cursor, write_cursor
from protocols.errors import InvalidInput, UnknownChannel
from protocols.topics import Lane
from protocols.values import to_timestamp
from storage.platform.events_postgres import read_event_times, read_heads
from storage.platform.offset_reports_redis import RedisOffsetReports


class _Position(Struct, array_like=True, frozen=True):
    """Cursor: the last client of a page."""

    offset: Annotated[int, Meta(ge=0, le=2**53)]
    client: Annotated[str, Meta(max_length=100)]


async def get_lag(command: GetLag, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of the clients that are behind in a replayed channel, over all processes, the furthest first.

    Raises: UnknownChannel, InvalidInput, TemporarilyUnavailable.
    """
    kind = stores.need(ChannelKinds).kind_of(command.channel)
    if kind is None or kind.lane is not Lane.REPLAYED:
        raise UnknownChannel("Only replayed channels have offsets to be behind in")
    top = (await read_heads(stores.db, [command.channel])).get(command.channel, 0)
    if not top:
        raise UnknownChannel
    position = read_cursor(command.cursor, _Position, None)
    after = None if position is None else (position.offset, position.client)
    found = await RedisOffsetReports(stores.redis).behind(command.channel, top, command.limit + 1, after)
    page = found.behind[: command.limit]
    last = page[-1] if len(found.behind) > command.limit else None
    missing = [reader.offset + 1 for reader in page]
    times = await read_event_times(stores.db, command.channel, missing)
    items = [
        ReaderLag(
            client=reader.client,
            user_id=UUID(reader.user) if reader.user else None,
            offset=reader.offset,
            lag=top - reader.offset,
            behind_since=to_timestamp(times[reader.offset + 1]) if reader.offset + 1 in times else None,
            reported_at=to_timestamp(reader.reported_at_ms),
        )
        for reader in page
    ]
    reply = Lag(
        channel=command.channel,
        top=top,
        readers=found.count,
        behind=found.behind_count,
        items=items,
        next_cursor=write_cursor(_Position(last.offset, last.client)) if last else None,
    )
    return Outcome(reply=reply)


ROUTES: tuple[Route, ...] = (
    Route(
        domain="realtime",
        command=GetLag,
        reply=Lag,
        function=get_lag,
        method="GET",
        path="/v1/channels/{channel}/lag",
        permission=Permission.SUPPORT,
        cost=2,
        refusals=(UnknownChannel, InvalidInput),
    ),
)

DOMAIN = Domain(name="realtime", routes=ROUTES, needs=(ChannelKinds,))
