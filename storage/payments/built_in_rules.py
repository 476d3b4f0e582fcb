"""How test cards and test banks behave."""

from protocols.values import new_id, now_instant
from storage.engines.postgres import Connection
from storage.payments import built_in_objects as objects
from storage.payments.built_in_objects import TestObject


async def pay(db: Connection, payment: TestObject, card: str, *, authenticated: bool | None) -> TestObject:
    """Charge a card; return the locked payment as it is then. One that has ended, or is under way, stays as it is."""
    if payment.status not in {"requires_action", "failed"}:
        return payment
    match card, authenticated:
        case "declined", _:
            return await _end(db, payment, "failed", "payment_intent.payment_failed", card, "card_declined")
        case "three_d_secure", None:
            return await _end(db, payment, "requires_action", "payment_intent.requires_action", card)
        case "three_d_secure", False:
            failure = "payment_intent_authentication_failure"
            return await _end(db, payment, "failed", "payment_intent.payment_failed", card, failure)
        case "slow", _:
            await objects.continue_later(db, payment)
            return await _end(db, payment, "processing", "payment_intent.processing", card)
    if card == "disputed":
        await objects.continue_later(db, payment)
    return await _succeed(db, payment, card)


async def _succeed(db: Connection, payment: TestObject, card: str) -> TestObject:
    await objects.move(db, "charge", payment, payment.amount_minor)
    return await _end(db, payment, "succeeded", "payment_intent.succeeded", card)


async def _end(
    db: Connection, found: TestObject, status: str, event_type: str, word: str, failure: str = ""
) -> TestObject:
    changed = await objects.change(db, found, status=status, failure=failure, word=word)
    await objects.announce(db, event_type, changed)
    return changed


async def go_on(db: Connection, found: TestObject) -> None:
    """Let an object go on by itself: the slow card pays, the cardholder disputes, the bank answers."""
    match found.kind, found.word, found.status:
        case "payment", "slow", "processing":
            await _succeed(db, found, found.word)
        case "payment", "disputed", "succeeded":
            if (left_minor := found.amount_minor - await objects.sum_refunds(db, found)) > 0:
                await dispute(db, found, left_minor)
        case "payout", "fails", "sent":
            await objects.move(db, "payout", found, found.amount_minor)
            await _end(db, found, "failed", "payout.failed", found.word, "account_closed")
        case "payout", _, "sent":
            await _end(db, found, "paid", "payout.paid", found.word)


async def dispute(db: Connection, payment: TestObject, amount_minor: int) -> None:
    """Have the cardholder dispute what is left of a payment: it goes back until that is decided; once for a payment."""
    opened = TestObject(
        object_id=new_id(),
        kind="dispute",
        own_id=payment.object_id,
        parent=payment.reference,
        amount_minor=amount_minor,
        currency=payment.currency,
        status="open",
        failure="",
        word="",
        secret="",
        at_ms=now_instant(),
    )
    await objects.insert(db, opened)
    kept = await objects.lock_own(db, "dispute", payment.object_id)
    assert kept is not None, "it was inserted, or was there"
    if kept.object_id == opened.object_id:
        await objects.move(db, "dispute", kept, -kept.amount_minor)
        await objects.announce(db, "charge.dispute.created", kept)


async def decide_dispute(db: Connection, found: TestObject, status: str) -> None:
    """Decide an open dispute: `won` brings the money back."""
    if found.status != "open":
        return
    if status == "won":
        await objects.move(db, "dispute", found, found.amount_minor)
    await _end(db, found, status, "charge.dispute.closed", found.word)
