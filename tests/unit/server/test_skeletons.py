"""Skeletons of commands and domains: what is written, and what is refused without a trace."""

import pytest

from server.cli.__main__ import main
from server.cli.skeletons import Skeleton, add_command, add_domain
from server.cli.verb import ROOT, UsageError
from server.cli.verbs import new_command, new_domain


def test_a_command_has_a_file_in_every_layer_and_a_test():
    skeleton = Skeleton(ROOT)
    add_command(skeleton, "auctions", "freeze_auction", is_query=False)
    assert set(skeleton.texts) == {
        "protocols/auctions/commands.py",
        "handlers/auctions/__init__.py",
        "handlers/auctions/freeze_auction.py",
        "storage/auctions/freeze_auction.sql",
        "storage/auctions/freeze_auction_postgres.py",
        "tests/integration/auctions/test_freeze_auction.py",
    }
    table = skeleton.texts["handlers/auctions/__init__.py"]
    assert 'path="/v1/auctions/freeze-auction"' in table
    assert 'key="required"' in table.partition("FreezeAuctionReply,\n        function")[2]
    assert "*SIGNAL_ROUTES,\n    Route(" in table  # behind those that are there


def test_a_query_changes_nothing_and_takes_no_key():
    skeleton = Skeleton(ROOT)
    add_command(skeleton, "listings", "count_listings", is_query=True)
    table = skeleton.texts["handlers/listings/__init__.py"].partition("function=count_listings")[2]
    assert 'method="GET"' in table.partition("),")[0]
    assert "key=" not in table.partition("),")[0]
    words = "protocols/listings/commands.py"
    assert "key: Key" not in skeleton.texts[words].partition("class CountListings(")[2]


def test_a_domain_is_declared_where_all_domains_are():
    skeleton = Skeleton(ROOT)
    add_domain(skeleton, "parcels")
    assert ", parcels.DOMAIN)" in skeleton.texts["server/domains.py"]
    assert skeleton.texts["pyproject.toml"].count("(parcels)") == 3
    assert "handlers/parcels/list_parcels.py" in skeleton.texts


def test_a_planned_domain_is_in_the_contracts_already():
    skeleton = Skeleton(ROOT)
    add_domain(skeleton, "trips")
    assert skeleton.texts["pyproject.toml"] == (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["new-command", "carpets", "weave_carpet"], "no domain 'carpets'; ./mnbara new-domain carpets"),
        (["new-command", "auctions", "place_bid"], "has a class PlaceBid already"),
        (["new-command", "auctions", "open_auction"], "handlers/auctions/open_auction.py is there already"),
        (["new-command", "auctions", "freeze"], "no name of a command"),
        (["new-command", "auctions", "../freeze_auction"], "no name of a command"),
        (["new-command", "auctions", "Freeze_auction"], "no name of a command"),
        (["new-command", "auctions"], "usage: ./mnbara new-command"),
        (["new-domain", "auctions"], "protocols/auctions/__init__.py is there already"),
        (["new-domain", "wire"], "protocols/wire/__init__.py is there already"),
        (["new-domain", "class"], "no name of a domain"),
        (["new-domain", "Parcels"], "no name of a domain"),
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
        ("pyproject.toml", "[project]\n"),
    ],
)
def test_a_list_that_has_another_form_is_told(path, text):
    skeleton = Skeleton(ROOT, {path: text})

    def add_both():
        add_domain(skeleton, "parcels")
        add_command(skeleton, "auctions", "freeze_auction", is_query=False)

    with pytest.raises(UsageError, match="has no"):
        add_both()
