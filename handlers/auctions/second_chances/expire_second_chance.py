"""Timer: end second-chance offers whose time is over. It may come twice: the locked row decides."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.locking import lock_auctions
from handlers.auctions.second_chances.offers import end_offers
from handlers.contract import Outcome, Stores
from storage.auctions import second_chances_postgres


async def expire_second_chance(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Expire open offers, and tell both sides of each."""
    auction_ids = set((await second_chances_postgres.find_auctions_of(stores.db, refs)).values())
    terms_by_id = {
        auction_id: one.terms for auction_id, one in (await lock_auctions(stores.db, auction_ids)).items()
    }
    rows = [
        row
        for row in await second_chances_postgres.lock_offers(stores.db, terms_by_id)
        if row.status == "open" and now_ms >= row.expires_at_ms
    ]
    return [Outcome(None, await end_offers(stores, terms_by_id, rows, "expired", now_ms))]
