"""Locust: bidders and watchers on websockets, visitors, shoppers and a seller on REST.

p50, p95 and p99 per command are in locust's own tables. How to run it, and what the figures mean: load/README.md.
"""

from pathlib import Path
from typing import Any

from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner

from load.scenarios.accounts import use_premade
from load.scenarios.auctions import Bidder, Watcher
from load.scenarios.catalogue import MARKET, open_market
from load.scenarios.listings import Visitor
from load.scenarios.shopping import Seller, Shopper

__all__ = ["Bidder", "Seller", "Shopper", "Visitor", "Watcher"]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def declare(parser: LocustArgumentParser) -> None:
    """Add our own option."""
    parser.add_argument(
        "--accounts",
        metavar="FILE",
        default="",
        env_var="MNBARA_LOAD_ACCOUNTS",
        help="accounts that ./mnbara load-accounts made; {worker} in the name is the number of the worker, from 0",
    )


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def prepare(environment: Environment, **_: Any) -> None:  # noqa: ANN401 - locust's signature
    """Read the accounts and open the market before the first user comes; every worker has its own."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        return
    file = environment.parsed_options.accounts if environment.parsed_options else ""
    if file:
        worker = getattr(runner, "worker_index", 0)
        use_premade(Path(file.replace("{worker}", str(worker))))
    if not MARKET:
        open_market(environment.host or "http://127.0.0.1:8080")
