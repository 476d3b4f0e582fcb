"""Timers that were set before their kinds got other names still find their handlers."""

from handlers.auctions import DOMAIN as AUCTIONS
from handlers.listings import DOMAIN as LISTINGS
from protocols.values import new_id
from storage.platform.migrate import FOLDER
from tests.support.domains import timer_handlers

OLD_KINDS = ("tell_result", "tell_losers", "tell_started", "tell_matches", "close_auction")


async def test_timers_and_progress_in_flight_get_the_new_names(market):
    (path,) = FOLDER.glob("*_rename_timer_kinds.sql")
    refs = {kind: new_id() for kind in OLD_KINDS}
    async with market.pool.acquire() as db, db.transaction():
        for kind, ref in refs.items():
            await db.execute("INSERT INTO timers (due_at_ms, kind, ref) VALUES (9e15, $1, $2)", kind, ref)
        await db.execute("INSERT INTO auction_tellings VALUES ($1, 'tell_started', $1)", refs["tell_started"])
        await db.execute(path.read_text(encoding="utf-8"))
        rows = await db.fetch(
            "DELETE FROM timers WHERE ref = ANY($1) RETURNING ref, kind", list(refs.values())
        )
        progress = await db.fetchval(
            "DELETE FROM auction_tellings WHERE auction_id = $1 RETURNING kind", refs["tell_started"]
        )
    kinds = {row["ref"]: row["kind"] for row in rows}
    assert {kind: kinds[ref] for kind, ref in refs.items()} == {
        kind: kind.replace("tell_", "notify_") for kind in OLD_KINDS
    }
    assert set(kinds.values()) <= {*timer_handlers(AUCTIONS), *timer_handlers(LISTINGS)}
    assert progress == "notify_started"
