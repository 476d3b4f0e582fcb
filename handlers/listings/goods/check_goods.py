"""Ask whether goods may be brought to a country."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.goods.verdicts import EVERYWHERE, check_country, find_reasons
from handlers.listings.rules import refuse
from protocols.listings.goods import CheckGoods, GoodsVerdict
from protocols.listings.refusals import CategoryNotFound, ListingNotFound
from storage.listings.listings_postgres import read_branch, read_listing_row


async def check_goods(command: CheckGoods, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the verdict of the country's rules and of those that hold everywhere, with their reasons.

    Raises: InvalidInput, ListingNotFound, CategoryNotFound.
    """
    countries = [EVERYWHERE, check_country(command.destination, "/destination")]
    category, texts = command.category or None, (command.title, command.description)
    if (command.listing_id is None) == (not category and not any(texts)):
        refuse("/listing_id", "Name a listing, or describe goods by category, title and description")
    if command.listing_id is not None:
        row = await read_listing_row(stores.db, command.listing_id)
        if row is None or (row.status == "draft" and row.seller_id != caller.user_id):
            raise ListingNotFound
        category, texts = row.category, (row.title, row.description)
    elif category and not await read_branch(stores.db, category):
        raise CategoryNotFound
    reasons = await find_reasons(stores.db, countries, category, *texts)
    verdict = reasons[0].kind if reasons else "allowed"
    return Outcome(GoodsVerdict(destination=command.destination, verdict=verdict, reasons=reasons))
