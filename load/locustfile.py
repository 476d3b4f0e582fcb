"""Locust: bidders and watchers on websockets, visitors, shoppers and a seller on REST.

p50, p95 and p99 per command are in locust's own tables.

Run against a server with MNBARA_RATE_LIMITS=off, since all users call from one address:
`locust -f load/locustfile.py --headless -u 50 -r 10 -t 30s --host http://127.0.0.1:8080`
"""

from typing import Any

from locust import events
from locust.env import Environment
from locust.runners import MasterRunner

from load.scenarios.auctions import Bidder, Watcher
from load.scenarios.catalogue import MARKET, open_market
from load.scenarios.listings import Visitor
from load.scenarios.shopping import Seller, Shopper

__all__ = ["Bidder", "Seller", "Shopper", "Visitor", "Watcher"]


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def prepare(environment: Environment, **_: Any) -> None:  # noqa: ANN401 - locust's signature
    """Open the market before the first user comes; every worker has its own."""
    if not MARKET and not isinstance(environment.runner, MasterRunner):
        open_market(environment.host or "http://127.0.0.1:8080")
