"""Webhooks of the payment provider: kept once, believed only when signed, right in any order."""

import base64
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from protocols.errors import InvalidInput
from protocols.payments.provider_refusals import SignatureInvalid
from protocols.payments.webhooks import sign
from protocols.values import new_id, now_instant
from tests.support.domains import Market
from tests.support.money import assert_books_are_right
from tests.support.payments import SECRET, begin, confirm, go_on, open_payments, read, settle, wallet


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_payments(database, redis, secrets=(SECRET, "whsec_former")) as opened:
        yield opened


async def send(market, body: bytes, secret: str = SECRET, header: str | None = None):
    """Bring a webhook to our intake, as the provider does."""
    return await market.call(
        "payments.receive_event",
        content=base64.b64encode(body).decode(),
        stripe_signature=sign(body, now_instant() // 1000, secret) if header is None else header,
    )


def event(reference: str, kind: str = "payment_intent", event_id: str = "", **about) -> bytes:
    named = {"id": reference, "object": kind, **about}
    body = {"id": event_id or f"evt_{new_id().hex}", "type": f"{kind}.changed", "data": {"object": named}}
    return json.dumps(body).encode()


async def undelivered(market, pool, ann, card="visa"):
    """A paid top-up whose own webhooks were lost, and the provider's name of its payment."""
    top_up = await begin(market, ann)
    await confirm(market, ann, top_up, card)
    await pool.execute("DELETE FROM jobs WHERE kind = 'payments.deliver_test_event'")
    return top_up, await pool.fetchval("SELECT reference FROM top_ups WHERE top_up_id = $1", top_up["id"])


async def test_an_event_is_kept_before_anything_is_made_of_it_and_works_once(market, pool):
    ann = await market.new_user()
    top_up, reference = await undelivered(market, pool, ann)
    body = event(reference)
    for _ in range(3):
        assert await send(market, body) == {"received": True}
    assert (await read(market, ann, top_up))["status"] == "requires_action"
    assert await pool.fetchval("SELECT count(*) FROM provider_events WHERE reference = $1", reference) == 1
    await settle(market)
    await send(market, body)
    await settle(market)
    assert (await wallet(market, ann))["available"] == 5_000
    await assert_books_are_right(pool)


@pytest.mark.parametrize("secret", [SECRET, "whsec_former"])
async def test_both_secrets_are_believed_while_one_replaces_the_other(market, pool, secret):
    """Spree pull request 14622: registering the webhook again lost the secret of what was still on its way."""
    ann = await market.new_user()
    _, reference = await undelivered(market, pool, ann)
    await send(market, event(reference), secret)
    await settle(market)
    assert (await wallet(market, ann))["available"] == 5_000


@pytest.mark.parametrize("header", ["", "t=1,v1=00", "nonsense"])
async def test_a_webhook_that_is_not_ours_books_nothing(market, pool, header):
    ann = await market.new_user()
    _, reference = await undelivered(market, pool, ann)
    body = event(reference)
    with pytest.raises(SignatureInvalid) as refused:
        await send(market, body, header=header)
    assert refused.value.status == 400
    with pytest.raises(SignatureInvalid):
        await send(market, body, "whsec_of_another")
    await settle(market)
    assert await pool.fetchval("SELECT count(*) FROM provider_events WHERE reference = $1", reference) == 0
    assert (await wallet(market, ann))["available"] == 0


DEEP = b"[" * 50_000 + b"]" * 50_000
NO_EVENTS = {
    "nothing": b"",
    "list": b"[]",
    "cut off": b"{",
    "about nothing": b'{"id":"e","type":"t"}',
    "number": b'{"id":7}',
    "byte": b"\xff",
    "byte in a text": b'{"id":"e\xff","type":"t","data":{"object":{"id":"a"}}}',
    "NUL": b'{"id":"e\\u0000","type":"t","data":{"object":{"id":"a"}}}',
    "NUL in a kind": b'{"id":"e","type":"t","data":{"object":{"id":"a","object":"re\\u0000fund"}}}',
    "huge number": b'{"id":1' + b"0" * 400 + b',"type":"t","data":{"object":{"id":"a"}}}',
    "deep": b'{"id":"e","type":"t","data":{"object":{"metadata":{"a":' + DEEP + b"}}}}",
    "deep, passed over": b'{"id":"e","type":"t","more":' + DEEP + b',"data":{"object":{"id":"a"}}}',
}


@pytest.mark.parametrize("body", NO_EVENTS.values(), ids=NO_EVENTS)
async def test_a_signed_body_that_is_no_event_is_refused(market, body):
    with pytest.raises(InvalidInput):
        await send(market, body)


async def test_an_event_of_another_kind_is_answered_and_ignored(market, pool):
    body = event("cus_1", "customer")
    assert await send(market, body) == {"received": True}
    assert await pool.fetchval("SELECT status FROM provider_events WHERE reference = 'cus_1'") == "ignored"


async def test_events_in_the_wrong_order_end_at_what_the_provider_says_now(market, pool):
    ann = await market.new_user()
    top_up = await begin(market, ann)
    await confirm(market, ann, top_up, "declined")
    failed = await pool.fetchval("SELECT reference FROM test_events WHERE own_id = $1", top_up["id"])
    await confirm(market, ann, top_up, "visa")
    await market.run_jobs("payments.deliver_test_event")
    await settle(market)
    assert (await wallet(market, ann))["available"] == 5_000
    late = event(failed, metadata={"mnbara_id": top_up["id"]})  # of the card that was declined before
    await send(market, late)
    await settle(market)
    after = await read(market, ann, top_up)
    assert (after["status"], after["failure"]) == ("succeeded", "")
    assert (await wallet(market, ann))["available"] == 5_000


async def test_an_event_that_overtakes_our_own_call_is_found_by_our_id(market, pool):
    ann = await market.new_user()
    top_up, reference = await undelivered(market, pool, ann)
    await pool.execute("UPDATE top_ups SET reference = '' WHERE top_up_id = $1", top_up["id"])
    await send(market, event(reference, metadata={"mnbara_id": top_up["id"]}))
    await settle(market)
    assert (await wallet(market, ann))["available"] == 5_000


async def test_an_event_about_nothing_of_ours_is_looked_at_again_and_then_put_aside(market, pool):
    await send(market, event("pi_of_another"))
    for _ in range(7):
        await market.run_timers("process_events")
    row = await pool.fetchrow(
        "SELECT status, attempts FROM provider_events WHERE reference = 'pi_of_another'"
    )
    assert (row["status"], row["attempts"]) == ("unmatched", 6)
    assert await pool.fetchval("SELECT count(*) FROM timers WHERE kind = 'process_events'") == 0


async def test_an_event_cannot_name_somebody_elses_top_up_as_paid(market, pool):
    """The event is a hint: what is booked is what the provider says of the top-up's own payment."""
    ann, bob = await market.new_user(), await market.new_user()
    _, paid = await undelivered(market, pool, ann)
    unpaid = await begin(market, bob)
    await send(market, event(paid, metadata={"mnbara_id": unpaid["id"]}))
    await settle(market)
    assert (await wallet(market, bob))["available"] == 0
    assert (await read(market, bob, unpaid))["status"] == "requires_action"


async def test_a_dispute_that_overtakes_the_payment_is_booked_after_it(market, pool):
    ann = await market.new_user()
    top_up, reference = await undelivered(market, pool, ann, "disputed")
    await market.run_timers("continue_test_object")
    await pool.execute("UPDATE top_ups SET reference = '' WHERE top_up_id = $1", top_up["id"])
    await market.run_jobs("payments.deliver_test_event")
    await market.run_timers("process_events")  # the dispute is of a payment that we do not know yet
    await pool.execute("UPDATE top_ups SET reference = $2 WHERE top_up_id = $1", top_up["id"], reference)
    await send(market, event(reference))
    await go_on(market)
    await go_on(market)
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}
    assert (await read(market, ann, top_up))["status"] == "succeeded"
    await assert_books_are_right(pool)
