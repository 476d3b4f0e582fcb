"""The import contracts of pyproject.toml hold, and each of them catches what it forbids.

The graph of imports is built once; a fault is planted by adding its import to a copy of the graph.
"""

import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

from tests.architecture.contracts import OwnDomain, PureRules

ROOT = Path(__file__).parents[2]
OPTIONS = read_configuration(str(ROOT / "pyproject.toml"))
TYPES = {
    kind.type_name: kind
    for kind in (AcyclicSiblingsContract, ForbiddenContract, LayersContract, OwnDomain, PureRules)
}
CONTRACTS = {
    options["name"]: TYPES[options["type"]](options["name"], OPTIONS["session_options"], options)
    for options in OPTIONS["contracts_options"]
}
FAULTS = {
    "Layers: server joins handlers and realtime, who are strangers; storage and protocols are below": [
        ("realtime/planted.py", "handlers.contract"),
        ("handlers/auctions/planted.py", "realtime.hub"),
        ("handlers/auctions/planted.py", "server.process.metrics"),
        ("storage/platform/planted.py", "handlers.contract"),
        ("protocols/planted.py", "storage.platform.sql"),
    ],
    "The realtime core knows no database": [
        ("realtime/planted.py", "storage.platform.sql"),
        ("realtime/transport/planted.py", "handlers.contract"),
    ],
    "Load tools speak the public words only": [("load/planted.py", "storage.platform.sql")],
    "The auditor shares nothing with what it checks but the public words": [
        ("server/cli/auditing.py", "handlers.auctions.rules"),
    ],
    "The checker of proofs stands alone": [
        ("server/cli/verify_ledger.py", "handlers.ledger.notes"),
        ("server/cli/verify_ledger.py", "protocols.values"),
        ("server/cli/verify_anchor.py", "protocols.ledger.chains"),
    ],
    "Realtime: endpoints take clients in, connections speak for them, the hub holds channels, transport moves bytes": [
        ("realtime/transport/frames.py", "realtime.hub"),
        ("realtime/channels/replayed.py", "realtime.connection.connection"),
        ("realtime/planted.py", "realtime.ports"),
    ],
    "Handlers: domains are strangers, contract is below them": [
        ("handlers/auctions/planted.py", "handlers.listings.rules"),
        ("handlers/auctions/formats/dutch_rules.py", "handlers.auth.rules"),
        ("handlers/contract.py", "handlers.auth.rules"),
        ("handlers/carpets/planted.py", "handlers.contract"),
    ],
    "Storage: domains stand on platform, platform on engines": [
        ("storage/platform/planted.py", "storage.auth.lookups"),
        ("storage/engines/planted.py", "storage.platform.sql"),
        ("storage/carpets/planted.py", "storage.platform.sql"),
    ],
    "Protocols: the wire is above the domains; domains stand on errors and values": [
        ("protocols/auctions/planted.py", "protocols.wire.codec_json"),
        ("protocols/errors.py", "protocols.auctions.commands"),
        ("protocols/values.py", "protocols.errors"),
        ("protocols/carpets/planted.py", "protocols.values"),
        ("protocols/planted.py", "protocols.values"),
    ],
    "Storage: a domain imports its own storage and the doors": [
        ("storage/auctions/planted.py", "storage.listings.listings_postgres"),
        ("storage/auctions/planted.py", "storage.auth"),
        ("storage/auctions/planted.py", "storage.payments.accounts_postgres"),
    ],
    "Handlers: a domain imports its own storage and the doors": [
        ("handlers/auctions/planted.py", "storage.listings.listings_postgres"),
        ("handlers/listings/photos/planted.py", "storage.auctions.bids_postgres"),
        ("handlers/contract.py", "storage.auth.lookups_of_others"),
    ],
    "Protocols: a domain imports its own words and the facts of others, the wire no domain": [
        ("protocols/auth/planted.py", "protocols.auctions.commands"),
        ("protocols/listings/planted.py", "protocols.auth.refusals"),
        ("protocols/wire/planted.py", "protocols.auctions.events"),
    ],
    "Handlers: a domain imports its own words, and the facts, refusals and channels of others": [
        ("handlers/auctions/planted.py", "protocols.listings.commands"),
        ("handlers/contract.py", "protocols.auctions.events"),
    ],
    "Storage: a domain imports its own words and the facts of others": [
        ("storage/auctions/planted.py", "protocols.listings.commands"),
        ("storage/platform/planted.py", "protocols.auctions.events"),
    ],
    "Rules are pure: no engine, clock, randomness or log behind them": [
        ("handlers/auctions/formats/dutch_rules.py", "random"),
        ("handlers/auctions/second_chances/rules.py", "asyncio"),
        ("handlers/orders/planted_rules.py", "time"),
        ("handlers/auth/rules.py", "storage.auth.lookups"),
        ("handlers/auth/rules.py", "handlers.contract"),  # which reaches engines
        ("protocols/auctions/guards.py", "secrets"),  # which rules of auctions import
    ],
    "No ring between siblings": [
        ("protocols/auctions/terms.py", "protocols.auctions.commands"),
        ("realtime/channels/ring.py", "realtime.channels.replayed"),
        ("storage/platform/sql.py", "storage.platform.events_postgres"),
        ("handlers/auctions/formats/table.py", "handlers.auctions.closing.close_auction"),
        ("handlers/listings/views.py", "handlers.listings.photos.access"),
        ("server/process/metrics.py", "server.http.exchange"),
        ("server/http/exchange.py", "server.schemas.openapi"),
    ],
    "Engines' drivers are imported by storage only": [
        ("handlers/auctions/planted.py", "asyncpg"),
        ("realtime/planted.py", "redis.asyncio"),
    ],
    "Web machinery stays in server, realtime and load": [
        ("handlers/auctions/planted.py", "litestar"),
        ("storage/platform/planted.py", "uvloop"),
    ],
}
"""By contract: the file that gets another import, and what it imports."""

DOORS = [
    ("storage/auctions/planted.py", "storage.auth.lookups"),
    ("storage/auctions/planted.py", "storage.payments.posting"),
    ("handlers/listings/planted.py", "storage.auctions.lookups"),
    ("handlers/listings/planted.py", "storage.payments.posting"),
    ("storage/auctions/planted.py", "storage.ledger.leaves"),
    ("handlers/auctions/planted.py", "storage.ledger.leaves"),
    ("storage/auctions/planted.py", "protocols.payments.postings"),
    ("handlers/auctions/planted.py", "protocols.listings.facts"),
    ("handlers/auctions/planted.py", "protocols.payments.refusals"),
    ("handlers/orders/planted.py", "protocols.listings.channels"),
]


def test_all_import_contracts_are_kept():
    told = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(
        *OPTIONS["session_options"]["root_packages"], include_external_packages=True, cache_dir=None
    )


def plant(graph, path, imported):
    """A copy of the graph in which the file imports the module; either may be new."""
    grown = deepcopy(graph)
    importer = path.removesuffix(".py").replace("/", ".")
    for name in (importer, imported):
        if name.split(".")[0] not in OPTIONS["session_options"]["root_packages"]:
            continue
        for end in range(1, name.count(".") + 2):
            grown.add_module(".".join(name.split(".")[:end]))
    if imported not in grown.modules:
        imported = imported.split(".")[0]
        grown.add_module(imported, is_squashed=True)
    grown.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    return grown


def test_every_contract_has_a_planted_fault():
    assert set(FAULTS) == set(CONTRACTS)


@pytest.mark.parametrize(
    ("contract", "path", "imported"), [(name, *fault) for name, faults in FAULTS.items() for fault in faults]
)
def test_planted_import_breaks_its_contract(graph, contract, path, imported):
    assert CONTRACTS[contract].check(deepcopy(graph), verbose=False).kept
    assert not CONTRACTS[contract].check(plant(graph, path, imported), verbose=False).kept


@pytest.mark.parametrize(("path", "imported"), DOORS)
def test_door_between_domains_is_open(graph, path, imported):
    grown = plant(graph, path, imported)
    broken = [
        name
        for name, contract in CONTRACTS.items()
        if not contract.check(deepcopy(grown), verbose=False).kept
    ]
    assert broken == []
