"""Drafts: their owner's alone until they are published; withdrawn listings come back; own listings in a list."""

import asyncio

import pytest

from handlers.contract import ANONYMOUS
from handlers.domain import ChannelKinds
from protocols.errors import InvalidInput, NotAllowed, UnknownChannel
from protocols.listings.commands import ListingNotActive, ListingNotDraft
from protocols.listings.refusals import ListingNotFound
from protocols.values import new_id
from realtime.ports import Lane
from server.channels.permissions import ChannelPermissions
from server.domains import DOMAINS, channels_of


async def test_a_draft_is_hidden_from_everybody_else(shop, seller, stranger):
    draft = await shop.create(seller, title="Quokkabag", draft=True)
    assert (draft["status"], draft["version"]) == ("draft", 1)
    assert await shop.call("get_listing", seller, listing_id=draft["id"]) == draft
    before = await shop.snapshot()
    for caller in (stranger, ANONYMOUS):
        with pytest.raises(ListingNotFound):
            await shop.call("get_listing", caller, listing_id=draft["id"])
    for verb in ("update_listing", "withdraw_listing", "publish_listing", "delete_draft", "list_movements"):
        with pytest.raises(ListingNotFound):
            await shop.call(verb, stranger, listing_id=draft["id"])
    with pytest.raises(ListingNotFound):
        await shop.call("reserve_stock", stranger, listing_id=draft["id"], key=str(new_id()))
    for asked in ({"q": "quokkabag"}, {"seller_id": str(seller.id)}, {}):
        assert draft["id"] not in [item["id"] for item in (await shop.search(**asked))["items"]]
    assert await shop.snapshot() == before


async def test_a_draft_can_be_changed_and_published(shop, seller, stranger):
    draft = await shop.create(seller, title="Numbatbag", draft=True)
    await shop.call("update_listing", seller, listing_id=draft["id"], condition="new")
    published = await shop.call("publish_listing", seller, listing_id=draft["id"])
    assert (published["status"], published["version"], published["condition"]) == ("active", 3, "new")
    assert await shop.call("publish_listing", seller, listing_id=draft["id"]) == published
    assert await shop.call("get_listing", stranger, listing_id=draft["id"]) == published
    assert [item["id"] for item in (await shop.search(q="numbatbag"))["items"]] == [draft["id"]]
    kinds = [(number, kind) for number, kind, _ in await shop.events(draft["id"])]
    assert kinds == [(1, "listing_created"), (2, "listing_updated"), (3, "listing_published")]


async def test_a_draft_cannot_be_withdrawn_but_deleted(shop, seller):
    draft = await shop.create(seller, draft=True)
    with pytest.raises(ListingNotActive):
        await shop.call("withdraw_listing", seller, listing_id=draft["id"])
    answer = await shop.pipeline.run(
        shop.routes["delete_draft"], shop.command("delete_draft", listing_id=draft["id"]), seller
    )
    assert answer.status == 204
    for verb in ("get_listing", "delete_draft"):
        with pytest.raises(ListingNotFound):
            await shop.call(verb, seller, listing_id=draft["id"])
    assert [kind for _, kind, _ in await shop.events(draft["id"])] == ["listing_created", "draft_deleted"]


async def test_what_was_on_the_market_cannot_be_deleted(shop, seller, stranger):
    listing = await shop.create(seller)
    with pytest.raises(NotAllowed):
        await shop.call("delete_draft", stranger, listing_id=listing["id"])
    with pytest.raises(ListingNotDraft):
        await shop.call("delete_draft", seller, listing_id=listing["id"])


async def test_a_withdrawn_listing_comes_back_and_a_sold_one_does_not(shop, seller, stranger):
    listing = await shop.create(seller)
    await shop.call("withdraw_listing", seller, listing_id=listing["id"])
    with pytest.raises(NotAllowed):
        await shop.call("publish_listing", stranger, listing_id=listing["id"])
    again = await shop.call("publish_listing", seller, listing_id=listing["id"])
    assert (again["status"], again["version"]) == ("active", 3)
    await shop.pool.execute("UPDATE listings SET status = 'sold' WHERE listing_id = $1", listing["id"])
    with pytest.raises(ListingNotActive) as refused:
        await shop.call("publish_listing", seller, listing_id=listing["id"])
    assert refused.value.facts == {"listing_status": "sold"}


async def test_publishing_at_once_twice_counts_one_version(shop, seller):
    draft = await shop.create(seller, draft=True)
    both = await asyncio.gather(
        *(shop.call("publish_listing", seller, listing_id=draft["id"]) for _ in range(2))
    )
    assert both[0] == both[1]
    assert both[0]["version"] == 2


async def test_own_listings_are_listed_by_status_page_by_page(shop, seller, stranger):
    made = [await shop.create(seller, title=f"L{n}", draft=n % 2 == 0) for n in range(5)]
    await shop.create(stranger)
    await shop.call("withdraw_listing", seller, listing_id=made[1]["id"])
    newest_first = [listing["id"] for listing in reversed(made)]
    seen, cursor = [], ""
    while cursor is not None:
        page = await shop.call("list_own_listings", seller, limit=2, cursor=cursor)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == newest_first
    for status, wanted in {"draft": [4, 2, 0], "active": [3], "withdrawn": [1], "sold": []}.items():
        page = await shop.call("list_own_listings", seller, status=status)
        assert [item["id"] for item in page["items"]] == [made[n]["id"] for n in wanted]
        assert page["next_cursor"] is None
    for cursor in ("x", "bm8", "IjEi"):
        with pytest.raises(InvalidInput):
            await shop.call("list_own_listings", seller, cursor=cursor)


async def test_the_stock_channel_opens_when_a_draft_is_published(shop, seller):
    draft = await shop.create(seller, draft=True)
    rules = ChannelPermissions(ChannelKinds(channels_of(DOMAINS)), shop.database)
    channel = f"stock:{draft['id']}"
    for caller in (seller, ANONYMOUS):
        with pytest.raises(UnknownChannel):
            await rules.authorize(caller, channel)
    await shop.call("publish_listing", seller, listing_id=draft["id"])
    assert (await rules.authorize(ANONYMOUS, channel)).lane is Lane.LATEST
    with pytest.raises(UnknownChannel):
        await rules.authorize(ANONYMOUS, f"stock:{new_id()}")
