"""Keep a card for later top-ups."""

from handlers.contract import Caller, Completion, Outcome, Stores
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.views import to_method
from protocols.errors import InvalidInput
from protocols.payments.provider import ProviderRefusedError
from protocols.payments.provider_refusals import MethodNotFound, ProviderRefused, TooManyMethods
from protocols.payments.top_ups import AddMethod, Method
from protocols.values import new_id
from storage.payments.methods_postgres import (
    MethodRow,
    insert_method,
    keep_method,
    list_methods,
    read_method,
)
from storage.payments.top_ups_postgres import keep_customer, lock_owner, read_customer

METHODS_MAX = 10


async def add_method(command: AddMethod, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Keep the card's name; the provider is asked after the commit. Raises InvalidInput, TooManyMethods."""
    if not (command.token.isascii() and command.token.replace("_", "").isalnum()):
        detail = "A token has letters, figures and _ alone"
        raise InvalidInput(detail, errors=[{"pointer": "/token", "detail": detail}])
    await lock_owner(stores.db, caller.id)
    if len(await list_methods(stores.db, caller.id)) >= METHODS_MAX:
        raise TooManyMethods(maximum=METHODS_MAX)
    row = MethodRow(
        method_id=new_id(),
        owner_id=caller.id,
        token=command.token,
        status="pending",
        reference="",
        brand="",
        last4="",
        expires="",
    )
    await insert_method(stores.db, row.method_id, caller.id, command.token, now_ms)
    return Outcome(to_method(row, test_money=stores.need(PaymentTools).test_money))


async def complete_method(reply: Method, caller: Caller, completion: Completion) -> Method:
    """Have the provider keep the card. Raises ProviderRefused, TemporarilyUnavailable; a repeat asks again."""
    async with completion.connection() as db:
        row = await read_method(db, reply.id, caller.id)
        customer = await read_customer(db, caller.id)
    if row is None:
        raise MethodNotFound
    if row.status != "pending":
        return to_method(row, test_money=reply.test_money)
    try:
        seen = await completion.need(PaymentTools).provider.save_method(caller.id, customer, row.token)
    except ProviderRefusedError as refused:
        raise ProviderRefused(reason=refused.reason) from refused
    async with completion.connection() as db:
        await keep_customer(db, caller.id, seen.customer)
        await keep_method(db, row.method_id, seen)
        kept = await read_method(db, row.method_id, caller.id)
    return to_method(kept or row, test_money=reply.test_money)
