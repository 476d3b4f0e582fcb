"""Have one's payout account filled in at the provider."""

from handlers.contract import Caller, Completion, Outcome, Stores
from handlers.domain import Job
from handlers.freshness import require_fresh
from handlers.payments.payouts.advance_payout_account import advance_payout_account, finish_payout_account
from handlers.payments.payouts.views import to_account
from handlers.payments.tools import PaymentTools
from protocols.countries import COUNTRIES
from protocols.errors import InvalidInput
from protocols.payments.payouts import CreatePayoutAccount, PayoutAccount
from protocols.payments.provider import ProviderRefusedError
from protocols.payments.provider_refusals import PayoutAccountMissing, ProviderRefused
from protocols.values import new_id
from storage.payments.payouts_postgres import insert_account, read_account_row, read_own_account


async def create_payout_account(
    command: CreatePayoutAccount, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Keep the account, or find it; the provider is asked after the commit. Raises InvalidInput, StepUpRequired."""
    await require_fresh(stores, caller, now_ms)
    if command.country not in COUNTRIES:
        detail = "This is not a country of ISO 3166-1"
        raise InvalidInput(detail, errors=[{"pointer": "/country", "detail": detail}])
    await insert_account(stores.db, new_id(), caller.id, command.country, now_ms)
    row = await read_own_account(stores.db, caller.id)
    assert row is not None, "it was there, or was inserted"
    return Outcome(to_account(row, test_money=stores.need(PaymentTools).test_money))


async def complete_payout_account(
    reply: PayoutAccount, _caller: Caller, completion: Completion
) -> PayoutAccount:
    """Have the provider make the account, and return where it is filled in.

    Raises: ProviderRefused, TemporarilyUnavailable; a repeat asks again.
    """
    job = Job(job_id=reply.id, ref=reply.id, attempt=1)
    try:
        seen = await advance_payout_account(job, completion)
        if seen is None:
            raise PayoutAccountMissing
        url = await completion.need(PaymentTools).provider.onboarding_link(seen.reference)
    except ProviderRefusedError as refused:
        raise ProviderRefused(reason=refused.reason) from refused

    async def finish(stores: Stores, now_ms: int) -> list[Outcome]:
        return [await finish_payout_account(job, seen, stores, now_ms)]

    await completion.commit(finish)
    async with completion.connection() as db:
        row = await read_account_row(db, reply.id)
    assert row is not None, "accounts are not deleted"
    return to_account(row, test_money=reply.test_money, url=url)
