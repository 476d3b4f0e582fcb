"""Who is behind in a channel: a query about the machinery, of no domain, and so it lives beside it.

Source: decision 0034. RPC `realtime.get_lag`; the reports come from `realtime.report_offset`.
"""

from uuid import UUID

from handlers.contract import Caller, Outcome, Permission, Route, Stores
from protocols.channels import GetLag, Lag, ReaderLag
from protocols.errors import UnknownChannel
from protocols.topics import REPLAYED, parse_channel
from protocols.values import to_timestamp
from storage.events_postgres import read_event_times, read_heads
from storage.reports_redis import RedisReports


async def get_lag(command: GetLag, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the clients that are furthest behind in a replayed channel, over all processes.

    Raises: UnknownChannel, TemporarilyUnavailable.
    """
    parsed = parse_channel(command.channel)
    if parsed is None or parsed[0] not in REPLAYED:
        raise UnknownChannel("Only replayed channels have offsets to be behind in")
    top = (await read_heads(stores.db, [command.channel])).get(command.channel, 0)
    if not top:
        raise UnknownChannel
    readers = await RedisReports(stores.redis).behind(command.channel, top, command.limit)
    missing = [reader.offset + 1 for reader in readers.behind]
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
        for reader in readers.behind
    ]
    reply = Lag(
        channel=command.channel, top=top, readers=readers.count, behind=readers.behind_count, items=items
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
        refusals=(UnknownChannel,),
    ),
)
