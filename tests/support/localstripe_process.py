"""A Stripe server that somebody else wrote, a process of its own on loopback: `localstripe_process.py PORT STATE`.

It keeps what it knows in the file STATE, so that it can be ended and started again. What it lacks is added in the
shapes of Stripe's API reference, on its own base class: idempotency keys, errors that show payments, accounts,
transfers, disputes.
"""

import json
import pickle
import sys
from pathlib import Path

from aiohttp import web
from localstripe import resources, server
from localstripe.resources import BalanceTransaction, PaymentIntent, StripeObject, store

CREATED: dict[str, tuple[int, bytes]] = {}
"""The answers by idempotency key."""


class Account(StripeObject):
    object = "account"
    _id_prefix = "acct_"

    def __init__(self, type=None, country=None, capabilities=None, settings=None, metadata=None):
        super().__init__()
        self.country = country
        self.capabilities = {"transfers": "inactive"}
        self.payouts_enabled = False
        self.details_submitted = False
        self.requirements = {"disabled_reason": None}
        self.metadata = metadata or {}


class AccountLink(StripeObject):
    object = "account_link"
    _id_prefix = "link_"

    def __init__(self, account=None, type=None, refresh_url=None, return_url=None):
        super().__init__()
        Account._api_retrieve(account)
        self.url = f"https://connect.example.test/?back={return_url}&again={refresh_url}"


def line(amount, currency, kind, source):
    """A line of the balance that localstripe itself never writes."""
    made = BalanceTransaction.__new__(BalanceTransaction)
    StripeObject.__init__(made)
    for name, value in {
        "amount": amount,
        "available_on": made.created,
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "reporting_category": kind,
        "source": source,
        "status": "available",
        "type": kind,
    }.items():
        setattr(made, name, value)


class Transfer(StripeObject):
    object = "transfer"
    _id_prefix = "tr_"

    def __init__(self, amount=None, currency=None, destination=None, metadata=None):
        super().__init__()
        Account._api_retrieve(destination)
        self.amount, self.currency, self.destination = int(amount), currency, destination
        self.metadata, self.reversed = metadata or {}, False
        line(-self.amount, currency, "transfer", self.id)

    @classmethod
    def _api_list_all(cls, url, destination=None, limit=None, starting_after=None):
        found = super()._api_list_all(url, limit=limit, starting_after=starting_after)
        found._list = [each for each in found._list if each.destination == destination]
        return found


class TransferReversal(StripeObject):
    object = "transfer_reversal"
    _id_prefix = "trr_"

    def __init__(self, id=None, metadata=None):
        super().__init__()
        moved = Transfer._api_retrieve(id)
        moved.reversed, self.transfer, self.amount = True, id, moved.amount
        line(moved.amount, moved.currency, "transfer_refund", self.id)


class Dispute(StripeObject):
    object = "dispute"
    _id_prefix = "dp_"

    def __init__(self, payment_intent=None, status="needs_response"):
        super().__init__()
        of = PaymentIntent._api_retrieve(payment_intent)
        self.amount, self.currency, self.payment_intent = of.amount, of.currency, payment_intent
        self.status = status
        line(-of.amount, of.currency, "adjustment", self.id)


async def decline_as_stripe_does(app, handler):
    """A payment that is confirmed as it is made, and declined, is an error that shows the payment."""

    async def middleware(request):
        answer = await handler(request)
        made = json.loads(answer.body) if request.path == "/v1/payment_intents" and answer.body else {}
        if request.method == "POST" and made.get("last_payment_error"):
            error = {"type": "card_error", "code": made["last_payment_error"]["code"], "payment_intent": made}
            return web.json_response({"error": error}, status=402)
        return answer

    return middleware


async def answer_keys_again(app, handler):
    async def middleware(request):
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return await handler(request)
        if key not in CREATED:
            answer = await handler(request)
            CREATED[key] = (answer.status, answer.body)
        status, body = CREATED[key]
        return web.Response(status=status, body=body, content_type="application/json")

    return middleware


def main(port: int, state: Path) -> None:
    """Serve until the process is ended."""
    if state.exists():
        known, keys = pickle.loads(state.read_bytes())
        dict.update(store, known)
        CREATED.update(keys)

    def dump() -> None:
        state.write_bytes(pickle.dumps((dict(store), CREATED)))

    resources.Store.dump_to_disk = lambda _store: dump()
    app = server.app
    app._middlewares += [answer_keys_again, decline_as_stripe_does]
    for kind in (Account, AccountLink, Transfer, Dispute):
        path = f"/v1/{kind.object}s"
        app.router.add_route("POST", path, server.api_create(kind, path))
        app.router.add_route("GET", path, server.api_list_all(kind, path))
        app.router.add_route("GET", path + "/{id}", server.api_retrieve(kind, path))
        app.router.add_route("POST", path + "/{id}", server.api_update(kind, path))
    app.router.add_route(
        "POST", "/v1/transfers/{id}/reversals", server.api_extra(TransferReversal, "/v1/transfers")
    )
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
