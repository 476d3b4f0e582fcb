"""Signatures of the payment provider's webhooks: what is believed, and what is not."""

import pytest
import stripe

from protocols.payments.provider_refusals import SignatureInvalid
from protocols.payments.webhooks import TOLERANCE_S, ProviderEvent, check_signature, read_event, sign

BODY = b'{"id":"evt_1","object":"event","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1"}}}'
NOW = 1_796_108_400
OLD, NEW = "whsec_old", "whsec_new"


def test_what_we_sign_the_providers_own_library_believes(monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)
    stripe.Webhook.construct_event(BODY, sign(BODY, NOW, NEW), NEW)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_each_of_our_secrets_is_believed_while_one_replaces_another(secret):
    check_signature(BODY, sign(BODY, NOW, secret), [NEW, OLD], NOW)


@pytest.mark.parametrize("header", ["{0},v1=00", "v0=abc, {0}", "{1},{2}"])
def test_other_signatures_beside_the_right_one_do_not_matter(header):
    right = sign(BODY, NOW, NEW)
    wrong = sign(BODY, NOW, "whsec_of_another")
    check_signature(BODY, header.format(right, wrong, right.partition(",")[2]), [NEW], NOW)


@pytest.mark.parametrize("off", [-TOLERANCE_S, TOLERANCE_S])
def test_a_clock_may_be_off_by_the_tolerance_either_way(off):
    check_signature(BODY, sign(BODY, NOW + off, NEW), [NEW], NOW)
    with pytest.raises(SignatureInvalid):
        check_signature(BODY, sign(BODY, NOW + off + (1 if off > 0 else -1), NEW), [NEW], NOW)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        f"t={NOW}",
        "v1=aa",
        f"t={NOW},t={NOW},v1=aa",
        f"t={'9' * 400},v1=aa",
        "t=١٧٩٦١٠٨٤٠٠,v1=aa",
        f"t={NOW},v1=ä",
        sign(BODY, NOW, "whsec_of_another"),
        sign(BODY + b" ", NOW, NEW),
        sign(BODY, NOW, NEW).upper(),
        sign(BODY, NOW, NEW).replace(f"t={NOW}", f"t={NOW + 1}"),
        "v1=" + ",v1=".join(["00"] * 9) + f",{sign(BODY, NOW, NEW)}",
    ],
)
def test_anything_else_is_refused(header):
    with pytest.raises(SignatureInvalid):
        check_signature(BODY, header, [NEW, OLD], NOW)


def test_nobody_is_believed_without_a_secret():
    with pytest.raises(SignatureInvalid):
        check_signature(BODY, sign(BODY, NOW, ""), [], NOW)


@pytest.mark.parametrize(
    ("about", "own_id", "payment"),
    [
        ('"metadata":{"mnbara_id":"01a22fe2-cf89-70eb-a498-750e9e073f9c"}', True, ""),
        ('"metadata":{"mnbara_id":7}', False, ""),
        ('"metadata":null', False, ""),
        ('"payment_intent":"pi_9"', False, "pi_9"),
        ('"payment_intent":{"id":"pi_9"}', False, "pi_9"),
        ('"payment_intent":7', False, ""),
    ],
)
def test_what_an_event_is_about_is_read_whatever_shape_its_members_have(about, own_id, payment):
    body = f'{{"id":"e","type":"t","more":1,"data":{{"object":{{"id":"x","object":"refund",{about}}}}}}}'
    event: ProviderEvent = read_event(body)
    assert (event.own_id is not None, event.payment, event.object) == (own_id, payment, "refund")
