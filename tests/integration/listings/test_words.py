"""What a word is, and which spellings are one word: for searches, saved searches and rules of goods alike."""

import sys
import unicodedata

import pytest

from handlers.contract import Caller
from handlers.listings import DOMAIN
from protocols.listings.goods import GoodsProhibited
from protocols.texts import FOLD_VERSION, fold
from protocols.values import new_id
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)


async def test_the_database_takes_every_folded_word_as_it_is(shop):
    """Each letter, digit and mark within a word, and beside a digit; of Han and Hangul a few stand for all."""
    codes = [
        c for c in range(sys.maxunicode + 1) if c % 97 == 0 or (not 0x3400 <= c < 0xD7A4 and c < 0x20000)
    ]
    letters = {fold(chr(c)) for c in codes if unicodedata.category(chr(c))[0] in "LMN"}
    words = sorted({word for each in letters for word in fold(f"q{each}q 7{each}").split()})
    split = await shop.pool.fetch(
        "SELECT word FROM unnest($1::text[]) AS word"
        " WHERE tsvector_to_array(to_tsvector('simple', word)) <> ARRAY[word]",
        words,
    )
    assert len(words) > 10_000
    assert [row["word"] for row in split] == []


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("men/women boots", "women"),
        ("GROSSE STRASSENKARTE", "stra\u00dfenkarte"),
        ("user@example.com/path/lamp.html", "lamp"),
        ("T-shirt", "shirt"),
        ("trek-bike-2000.jpg", "bike"),
        ("<lantern>", "lantern"),
        ("1.500.000 shells", "shells"),
        ("\u0643\u062a\u0627\u0628\u064a", "\u06a9\u062a\u0627\u0628\u06cc"),
    ],
)
async def test_a_word_is_found_whatever_it_touches_and_however_it_is_spelt(empty_shop, seller, title, query):
    await empty_shop.create(seller, title=title, description="")
    await empty_shop.create(seller, title=query, description="")
    found = await empty_shop.search(q=query)
    assert ({item["title"] for item in found["items"]}, found["similar"]) == ({title, query}, False)


async def test_a_saved_search_fires_for_words_that_touch(empty_shop, seller):
    fan = Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))
    await empty_shop.call("save_search", fan, name="mine", filters={"q": "women"})
    await empty_shop.create(seller, title="men/women boots", description="")
    await empty_shop.react()
    assert await empty_shop.pool.fetchval(
        "SELECT count(*) FROM saved_search_matches WHERE user_id = $1", fan.id
    )


@pytest.mark.parametrize(
    "title",
    [
        "Rum/whisky set",
        "w\u00adhisky",
        "WHISKY",
        "whisk\u0443",
        "v\u043edka",
        "\uff56odka",
        "rum&vodka",
    ],
)
async def test_a_rule_stops_its_word_however_it_is_disguised(shop, title):
    verdict = await shop.call("check_goods", destination="SA", title=title)
    assert verdict["verdict"] == "prohibited"


async def test_a_phrase_of_everywhere_is_stopped_within_others(shop, seller):
    with pytest.raises(GoodsProhibited):
        await shop.create(seller, title="Old ivory-tusk/elephant")


async def test_rows_of_another_version_are_folded_anew(empty_shop, seller):
    fan = Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))
    pool = empty_shop.pool
    kept = [await empty_shop.create(seller, title=f"men/women {n}") for n in range(3)]
    saved = await empty_shop.call("save_search", fan, name="mine", filters={"q": "women"})
    await pool.execute("UPDATE listings SET words = '', title_folded = '', fold_version = 0")
    await pool.execute("UPDATE saved_searches SET asked_words = 'men', fold_version = 0")
    await pool.execute("DELETE FROM saved_search_anchors")
    await pool.execute("UPDATE goods_rules SET query = 'nothing', fold_version = 0")
    kinds = ("fold_rules", "fold_listings", "fold_searches")
    await pool.execute(
        "INSERT INTO timers (due_at_ms, kind, ref)"
        " SELECT 0, unnest($1::text[]), '00000000-0000-0000-0000-000000000000'",
        kinds,
    )
    for kind in kinds:
        await empty_shop.pipeline.run_timers(kind, TIMERS[kind], 500)
    found = await empty_shop.search(q="women")
    assert {item["id"] for item in found["items"]} == {listing["id"] for listing in kept}
    assert await pool.fetchval("SELECT asked_words::text FROM saved_searches") == "'women'"
    anchors = await pool.fetch("SELECT anchor, search_id::text FROM saved_search_anchors")
    assert [tuple(row) for row in anchors] == [("women", saved["id"])]
    assert (await empty_shop.call("check_goods", destination="SA", title="vodka"))["verdict"] == "prohibited"
    versions = "SELECT fold_version FROM listings UNION SELECT fold_version FROM goods_rules"
    assert [row[0] for row in await pool.fetch(versions)] == [FOLD_VERSION]
