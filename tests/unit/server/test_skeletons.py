"""Skeletons of commands and domains: what is written, and what is refused without a trace."""

import ast

import pytest

from protocols.errors import BLOCKS
from server.cli.__main__ import main
from server.cli.skeleton_names import Command
from server.cli.skeletons import Skeleton, add_command, add_domain
from server.cli.verb import ROOT, UsageError
from server.cli.verbs import new_command, new_domain


def skeleton_of(*command, **options):
    skeleton = Skeleton(ROOT)
    add_command(skeleton, Command(*command, **options))
    return skeleton.texts


def entry_of(table, verb):
    """The arguments of a route."""
    before, _, after = table.partition(f"function={verb}")
    return before.rpartition("Route(")[2] + after.partition("    ),")[0]


def test_a_command_has_words_a_handler_a_route_and_a_test_and_no_statement_that_nobody_wrote():
    texts = skeleton_of("auctions", "whiten_auction")
    assert set(texts) == {
        "protocols/auctions/commands.py",
        "handlers/auctions/__init__.py",
        "handlers/auctions/whiten_auction.py",
        "tests/integration/auctions/test_whiten_auction.py",
    }
    table = texts["handlers/auctions/__init__.py"]
    entry = entry_of(table, "whiten_auction")
    assert 'path="/v1/auctions/{auction_id}/whiten"' in entry
    assert "reply=Auction," in entry
    assert 'key="required"' in entry
    routes = next(
        node.value
        for node in ast.parse(table).body
        if getattr(getattr(node, "target", None), "id", "") == "ROUTES"
    )
    stars = [isinstance(entry, ast.Starred) for entry in routes.elts]
    assert any(stars)
    assert stars == sorted(stars)  # a domain's own routes stand before those of its topics
    assert "whiten_auction" in ast.unparse(routes.elts[stars.index(True) - 1])
    struct = texts["protocols/auctions/commands.py"].partition("class WhitenAuction(")[2]
    assert "auction_id: UUID" in struct
    assert "class Auction(" not in struct  # the reply is there already
    test = texts["tests/integration/auctions/test_whiten_auction.py"]
    assert 'given = {"auction_id": new_id(), "key": str(new_id())}' in test
    assert 'again = await market.call("auctions.whiten_auction", caller, **given)' in test
    assert "assert again == answer" in test


def test_a_query_changes_nothing_and_takes_no_key():
    texts = skeleton_of("auctions", "count_feathers", "GET")
    assert not any(path.startswith("storage/") for path in texts)
    entry = entry_of(texts["handlers/auctions/__init__.py"], "count_feathers")
    assert 'method="GET"' in entry
    assert 'path="/v1/auctions/feathers"' in entry
    assert "reply=FeatherCount," in entry
    assert "key=" not in entry
    assert "key: Key" not in texts["protocols/auctions/commands.py"].partition("class CountFeathers(")[2]
    test = texts["tests/integration/auctions/test_count_feathers.py"]
    assert 'answer = await market.call("auctions.count_feathers", caller)\n' in test
    assert "given" not in test


def test_what_makes_the_thing_of_a_domain_has_no_id_before_it():
    skeleton = Skeleton(ROOT)
    add_domain(skeleton, "zeppelins")
    add_command(skeleton, Command("zeppelins", "add_zeppelin"))
    entry = entry_of(skeleton.texts["handlers/zeppelins/__init__.py"], "add_zeppelin")
    assert 'path="/v1/zeppelins"' in entry
    assert "status=201," in entry
    struct = skeleton.texts["protocols/zeppelins/commands.py"].partition("class AddZeppelin(")[2]
    assert "zeppelin_id" not in struct


def test_a_query_about_all_things_of_a_domain_does_not_name_it_twice():
    table = skeleton_of("auctions", "count_auctions", "GET")["handlers/auctions/__init__.py"]
    assert 'path="/v1/auctions/count"' in entry_of(table, "count_auctions")


def test_a_deletion_answers_nothing():
    texts = skeleton_of("auctions", "whiten_bid", "DELETE", "/v1/auctions/{auction_id}/bids/{bid_id}")
    entry = entry_of(texts["handlers/auctions/__init__.py"], "whiten_bid")
    assert "reply=None," in entry
    assert "status=204," in entry
    assert "key=" not in entry
    struct = texts["protocols/auctions/commands.py"].partition("class WhitenBid(")[2]
    assert "auction_id: UUID\n    bid_id: UUID\n" in struct
    assert "assert answer is None" in texts["tests/integration/auctions/test_whiten_bid.py"]


def test_a_topic_has_the_handler_and_its_routes_and_words_when_it_has_such_files():
    texts = skeleton_of("auctions", "whiten_signal", "PUT", topic="signals")
    assert {
        "handlers/auctions/signals/whiten_signal.py",
        "handlers/auctions/signals/routes.py",
        "protocols/auctions/signals.py",
    } <= set(texts)
    table = texts["handlers/auctions/signals/routes.py"]
    assert "\n    Route(" in table.partition("SIGNAL_ROUTES")[2].partition("function=whiten_signal")[0]
    assert (
        skeleton_of("auctions", "whiten_signal", "PUT").keys() == texts.keys()
    )  # it is called like the noun
    reading = skeleton_of("auctions", "count_feathers", "GET", topic="reading")
    assert {
        "handlers/auctions/reading/count_feathers.py",
        "handlers/auctions/__init__.py",
        "protocols/auctions/commands.py",
    } <= set(reading)
    imported = "from handlers.auctions.reading.count_feathers import count_feathers"
    assert imported in reading["handlers/auctions/__init__.py"]


def test_a_domain_is_declared_where_all_domains_are():
    skeleton = Skeleton(ROOT)
    add_domain(skeleton, "zeppelins")
    assert ", zeppelins.DOMAIN)" in skeleton.texts["server/domains.py"]
    assert skeleton.texts["pyproject.toml"].count("(zeppelins)") == 3
    assert skeleton.texts["docs/zeppelins.md"].startswith("# Zeppelins\n")
    named = skeleton.texts["README.md"].partition("- `docs/zeppelins.md` ")
    assert named[1]
    assert named[2].splitlines()[1].startswith("- `docs/clients/`")
    assert not any("SELECT" in text for path, text in skeleton.texts.items() if "zeppelins" in path)
    entry = entry_of(skeleton.texts["handlers/zeppelins/__init__.py"], "list_zeppelins")
    assert 'path="/v1/zeppelins"' in entry
    assert "reply=ZeppelinList," in entry
    assert "refusals=(InvalidInput,)," in entry


def test_the_first_query_of_a_domain_has_the_path_that_is_given():
    skeleton = Skeleton(ROOT)
    add_domain(skeleton, "zeppelins", "/v1/harbours/{harbour_id}/zeppelins")
    entry = entry_of(skeleton.texts["handlers/zeppelins/__init__.py"], "list_zeppelins")
    assert 'path="/v1/harbours/{harbour_id}/zeppelins"' in entry
    struct = skeleton.texts["protocols/zeppelins/commands.py"].partition("class ListZeppelins(")[2]
    assert "    harbour_id: UUID\n" in struct


def test_the_path_of_a_domain_reaches_its_skeleton(monkeypatch):
    kept = []
    monkeypatch.setattr(new_domain, "write_skeleton", kept.append)
    assert main(["new-domain", "zeppelins", "--path", "/v1/airships"]) == 0
    assert 'path="/v1/airships"' in kept[0].texts["handlers/zeppelins/__init__.py"]


@pytest.mark.parametrize(
    "routes",
    ["(*A, *B)", "(\n    *A,\n    *B,\n)", "(first, *A)", "(\n    first,\n    *A,\n)", "(first,)", "()"],
)
def test_a_route_stands_before_every_star(routes):
    path = "handlers/auctions/__init__.py"
    skeleton = Skeleton(ROOT, {path: f'"""D."""\n\nROUTES = {routes}\n'})
    add_command(skeleton, Command("auctions", "whiten_auction"))
    entries = ast.parse(skeleton.texts[path]).body[-1].value.elts
    kinds = [type(entry) for entry in entries]
    assert kinds.count(ast.Call) == 1
    assert kinds == sorted(kinds, key=[ast.Name, ast.Call, ast.Starred].index)


def test_a_domain_gets_numbers_that_no_other_has(monkeypatch):
    first = next(number for number in range(1900, 1990, 10) if number not in BLOCKS.values())
    for number in (first, first + 10):
        skeleton = Skeleton(ROOT)
        add_domain(skeleton, "zeppelins")
        assert f'"zeppelins": {number},' in skeleton.texts["protocols/errors.py"]
        assert f'"zeppelin_not_found", {number}, 404' in skeleton.texts["protocols/zeppelins/refusals.py"]
        monkeypatch.setitem(BLOCKS, "others", number)
    for number in range(1900, 1990, 10):
        monkeypatch.setitem(BLOCKS, f"n{number}", number)
    with pytest.raises(UsageError, match="no numbers"):
        add_domain(Skeleton(ROOT), "zeppelins")


def test_a_planned_domain_is_in_the_contracts_already():
    skeleton = Skeleton(ROOT)
    add_domain(skeleton, "trips")
    assert '"trip_not_found", 1100, 404' in skeleton.texts["protocols/trips/refusals.py"]
    assert "protocols/errors.py" not in skeleton.texts
    assert skeleton.texts["pyproject.toml"] == (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["new-command", "carpets", "weave_carpet"], "no domain 'carpets'; ./mnbara new-domain carpets"),
        (["new-command", "auctions", "place_bid"], "has a class PlaceBid already"),
        (["new-command", "auctions", "open_auction"], "handlers/auctions/open_auction.py is there already"),
        (["new-command", "auctions", "freeze"], "no name of a command"),
        (["new-command", "auctions", "../whiten_auction"], "no name of a command"),
        (["new-command", "auctions", "Freeze_auction"], "no name of a command"),
        (["new-command", "auctions", "freeze_lot", "--into", "ice"], "there is no topic 'ice'"),
        (["new-command", "auctions", "freeze_lot", "--into", "../listings"], "there is no topic"),
        (["new-command", "auctions", "freeze_lot", "--path", "/auctions"], "is no path"),
        (["new-command", "auctions"], "usage: ./mnbara new-command"),
        (["new-domain", "zeppelins", "--path", "/zeppelins"], "is no path"),
        (["new-domain", "auctions"], "protocols/auctions/__init__.py is there already"),
        (["new-domain", "wire"], "protocols/wire/__init__.py is there already"),
        (["new-domain", "class"], "no name of a domain"),
        (["new-domain", "Zeppelins"], "no name of a domain"),
        (["new-domain", "pick_ups"], "no name of a domain"),
    ],
)
def test_what_cannot_be_made_is_told_and_nothing_is_written(words, told, capsys, monkeypatch):
    def fail(_skeleton):
        raise AssertionError("something would be written")

    monkeypatch.setattr(new_command, "write_skeleton", fail)
    monkeypatch.setattr(new_domain, "write_skeleton", fail)
    assert main(words) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("handlers/auctions/__init__.py", "ROUTES = tuple([])\n"),
        ("server/domains.py", "DOMAINS = ()\n"),
        ("protocols/errors.py", "BLOCKS = dict()\n"),
        ("pyproject.toml", "[project]\n"),
        ("README.md", "# Mnbara\n"),
    ],
)
def test_a_list_that_has_another_form_is_told(path, text):
    skeleton = Skeleton(ROOT, {path: text})

    def add_both():
        add_domain(skeleton, "zeppelins")
        add_command(skeleton, Command("auctions", "whiten_auction"))

    with pytest.raises(UsageError, match="has no"):
        add_both()
