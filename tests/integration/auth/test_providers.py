"""Signing in with other providers: through the pipeline, against a provider on loopback, honest and hostile."""

import asyncio
import base64
import secrets

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey

from handlers.auth.factors.rules import STEP_MS, code_of
from handlers.auth.oauth.providers import read_providers
from handlers.auth.oauth.tools import OauthTools
from handlers.notifications.send_mail import compose
from handlers.settings import SettingsError
from protocols.auth.commands import (
    BadCredentials,
    EmailTaken,
    Login,
    RequestReset,
    ResetPassword,
    VerifyEmail,
)
from protocols.auth.factors import BeginTotp, ConfirmTotp, LoginSecondFactor, SecondFactorRequired
from protocols.auth.providers import (
    IdentityNotFound,
    IdentityTaken,
    LastWayIn,
    LinkProvider,
    ListIdentities,
    ListProviders,
    ProviderEmailMissing,
    ProviderNotFound,
    SignInRefused,
    SignInWithProvider,
    UnlinkIdentity,
)
from protocols.errors import InvalidInput, TemporarilyUnavailable
from protocols.values import new_id, now_instant
from storage.engines import oidc
from storage.engines.oidc import OidcClient, OidcProvider
from tests.support.auth_system import PASSWORD, answer_resets
from tests.support.oidc_server import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, start_oidc_server

VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def running():
    made, server = start_oidc_server()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
async def provider(running, system):
    """An honest provider, whose client has nothing in its memory."""
    running.fault = ""
    running.calls.clear()
    acme = OidcProvider(
        name="acme",
        issuer=running.url,
        client_id=CLIENT_ID,
        audiences=(CLIENT_ID, "mnbara-ios"),
        client_secret=lambda: CLIENT_SECRET,
    )
    async with httpx.AsyncClient(timeout=5) as http:
        system.tools_of[OauthTools] = OauthTools({"acme": OidcClient(acme, http)})
        yield running
    running.fault = ""


def proof(server, subject, kind=SignInWithProvider, *, nonce="", code_claims=None, **fields):
    """A command with a code for somebody."""
    nonce = nonce or secrets.token_urlsafe(16)
    code = server.authorize(subject, nonce, VERIFIER, code_claims or {})
    more = {
        "provider": "acme",
        "nonce": nonce,
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": REDIRECT_URI,
    }
    return kind(**{**more, **fields})


def person(**more):
    subject = new_id().hex
    return subject, {"email": f"{subject}@example.org", "email_verified": True, "name": "Amina", **more}


async def test_who_is_not_known_gets_an_account_and_is_known_afterwards(system, provider):
    subject, claims = person()
    first = await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    assert (first["user"]["email"], first["user"]["email_verified"]) == (claims["email"], True)
    assert first["user"]["display_name"] == "Amina"
    moved = {**claims, "email": f"{new_id().hex}@example.org"}
    again = await system.run("sign_in_with_provider", proof(provider, subject, code_claims=moved))
    assert again["user"] == first["user"]
    with pytest.raises(BadCredentials):
        await system.run("login", Login(email=claims["email"], password=PASSWORD))


async def test_an_apps_own_id_token_is_taken_once(system, provider):
    subject, claims = person()
    nonce = secrets.token_urlsafe(16)
    token = provider.id_token(subject, nonce, {**claims, "aud": "mnbara-ios"})
    command = SignInWithProvider(provider="acme", nonce=nonce, id_token=token)
    answers = await asyncio.gather(
        *(system.run("sign_in_with_provider", command) for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["SignInRefused"] * 4 + ["dict"]


async def test_an_address_never_opens_an_account(system, provider):
    member = await system.join()
    subject, _ = person()
    claims = {"email": member.email.upper(), "email_verified": True}
    with pytest.raises(EmailTaken, match="link"):
        await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))


async def test_a_provider_is_linked_once_and_unlinked(system, provider):
    member, other = await system.join(), await system.join()
    subject, claims = person()
    link = proof(provider, subject, LinkProvider, code_claims=claims)
    identity = await system.run("link_provider", link, member.caller)
    again = await system.run(
        "link_provider", proof(provider, subject, LinkProvider, code_claims=claims), member.caller
    )
    assert again == identity
    signed_in = await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    assert signed_in["user"]["id"] == str(member.user_id)
    with pytest.raises(IdentityTaken):
        await system.run("link_provider", proof(provider, subject, LinkProvider), other.caller)
    assert (await system.run("list_identities", ListIdentities(), member.caller))["items"] == [identity]
    for caller in (other.caller, member.caller):
        command = UnlinkIdentity(identity_id=identity["id"])
        if caller is other.caller:
            with pytest.raises(IdentityNotFound):
                await system.run("unlink_identity", command, caller)
        else:
            await system.run("unlink_identity", command, caller)
    assert (await system.run("list_identities", ListIdentities(), member.caller))["items"] == []


async def test_the_owner_gets_a_mail_when_a_provider_is_linked(system, provider):
    member, (subject, claims) = await system.join(), person()
    for _ in range(2):  # the second finds it there
        link = proof(provider, subject, LinkProvider, code_claims=claims)
        await system.run("link_provider", link, member.caller)
    mails = await system.mails(member.email)
    assert [mail.text for mail in mails] == ["verify_email", "provider_linked"]
    sent = compose(new_id(), mails[-1], "market@example.org")
    assert sent["Subject"] == "Your account can be signed in to by acme"
    assert "{" not in sent.get_content()


@pytest.mark.parametrize("proven", [False, True])
async def test_who_squats_on_an_address_loses_the_account_to_its_owner(system, provider, proven):
    squatter, (subject, claims) = await system.join(), person()
    if proven:
        await system.run("verify_email", VerifyEmail(token=await system.token(squatter.email)))
    await system.run(
        "link_provider", proof(provider, subject, LinkProvider, code_claims=claims), squatter.caller
    )
    await system.run("request_reset", RequestReset(email=squatter.email))
    await answer_resets(system)
    reset = ResetPassword(token=await system.token(squatter.email), new_password="lantern 8 marsh salt")
    await system.run("reset_password", reset)
    back = await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    assert (back["user"]["id"] == str(squatter.user_id)) is proven


async def test_the_last_way_in_stays(system, provider):
    subject, claims = person()
    reply = await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    member = await system.member(claims["email"], reply)
    (identity,) = (await system.run("list_identities", ListIdentities(), member.caller))["items"]
    with pytest.raises(LastWayIn):
        await system.run("unlink_identity", UnlinkIdentity(identity_id=identity["id"]), member.caller)
    assert (await system.run("list_identities", ListIdentities(), member.caller))["items"] == [identity]


@pytest.mark.parametrize(
    "fault",
    ["unsigned", "shared secret", "stranger's key", "no ID token"],
)
async def test_token_that_the_provider_did_not_sign_is_refused(system, provider, fault):
    provider.fault = fault
    subject, claims = person()
    with pytest.raises(SignInRefused):
        await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another nonce, of 20"},
        {"aud": "somebody-else"},
        {"aud": [CLIENT_ID, "somebody-else"]},
        {"aud": [CLIENT_ID, "somebody-else"], "azp": "somebody-else"},
        {"azp": "somebody-else"},
        {"iss": "https://other.example"},
        {"exp": 1},
        {"iat": 32_503_680_000},
        {"sub": ""},
        {"sub": 7},
        {"sub": "s" * 256},
        {"exp": "soon"},
        {"aud": None},
        {"nonce": None},
        {"nonce": ["n" * 22]},
        {"sub": "a\0b"},
        {"sub": "\ud800"},
        {"exp": 10**30},
        {"exp": 1e308},
        {"exp": 253_402_300_799},
    ],
)
async def test_token_that_does_not_hold_is_refused(system, provider, wrong):
    subject, claims = person()
    with pytest.raises(SignInRefused):
        await system.run("sign_in_with_provider", proof(provider, subject, code_claims={**claims, **wrong}))


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"code": "no such code"}, SignInRefused),
        ({"code_verifier": "w" * 43}, SignInRefused),
        ({"redirect_uri": "https://app.example/callback/"}, SignInRefused),
        ({"provider": "nobody"}, ProviderNotFound),
        ({"code": ""}, InvalidInput),
        ({"id_token": "a.b.c"}, InvalidInput),
        ({"code_verifier": ""}, InvalidInput),
        ({"redirect_uri": ""}, InvalidInput),
        ({"code": "", "id_token": "a.b.c"}, SignInRefused),
        ({"code": "", "id_token": "\u00e4" * 9}, SignInRefused),
        ({"code": "", "id_token": "." * 16_000}, SignInRefused),
    ],
)
async def test_what_proves_nothing_is_refused(system, provider, fields, refusal):
    subject, claims = person()
    with pytest.raises(refusal):
        await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims, **fields))


async def test_a_code_is_taken_once(system, provider):
    subject, claims = person()
    command = proof(provider, subject, code_claims=claims)
    await system.run("sign_in_with_provider", command)
    with pytest.raises(SignInRefused):
        await system.run("sign_in_with_provider", command)


@pytest.mark.parametrize(
    "fault",
    [
        "down",
        "mixed-up issuer",
        "unsafe address",
        "huge answer",
        "many keys",
        "no keys",
        "redirect",
        "compressed",
        "slow drip",
    ],
)
async def test_provider_that_does_not_work_is_a_fault_that_passes(system, provider, fault, monkeypatch):
    if fault == "slow drip":
        monkeypatch.setattr(oidc, "TIMEOUT_S", 0.3)
    provider.fault = fault
    subject, claims = person()
    with pytest.raises((TemporarilyUnavailable, SignInRefused)):
        await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    provider.fault = ""
    monkeypatch.undo()
    if fault != "no keys":
        await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))


async def test_damaged_tokens_do_not_make_us_ask_for_keys_each_time(system, provider):
    subject, claims = person()
    await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    for _ in range(5):
        with pytest.raises(SignInRefused):
            await system.run("sign_in_with_provider", proof(provider, subject, code="", id_token="a.b.c"))
    assert provider.calls.count("/jwks") == 1


async def test_a_key_that_cannot_be_read_does_not_hide_the_others(system, provider):
    provider.fault = "odd keys"
    subject, claims = person()
    await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))


async def test_all_who_wait_for_new_keys_share_one_call(system, provider):
    subject, claims = person()
    await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    client = system.tools_of[OauthTools]._clients["acme"]
    client._keys_again_at = 0.0  # half a minute later
    provider.fault = "down"
    damaged = [proof(provider, subject, code="", id_token="a.b.c") for _ in range(10)]
    answers = await asyncio.gather(
        *(system.run("sign_in_with_provider", command) for command in damaged), return_exceptions=True
    )
    assert {type(answer) for answer in answers} <= {SignInRefused, TemporarilyUnavailable}
    assert provider.calls.count("/jwks") == 2


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:9/keys", "https://localhost/keys", "https://a\r\nb/", "https://a:99999/"]
)
async def test_provider_elsewhere_cannot_have_this_machine_asked(place):
    asked = []

    def answer(request):
        asked.append(request.url.host)
        about = {
            "issuer": "https://acme.example",
            "jwks_uri": place,
            "token_endpoint": "https://acme.example/",
        }
        return httpx.Response(200, stream=httpx.ByteStream(msgspec.json.encode(about)))

    acme = OidcProvider(
        name="acme", issuer="https://acme.example", client_id="a", audiences=("a",), client_secret=str
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        with pytest.raises(TemporarilyUnavailable, match="no safe jwks_uri"):
            await OidcClient(acme, http).verify("a.b.c", "n" * 22)
    assert asked == ["acme.example"]


@pytest.mark.parametrize(
    ("odd", "email", "verified"),
    [
        ({"email_verified": []}, "{}@example.org", False),
        ({"email_verified": 1}, "{}@example.org", False),
        ({"email": "\ud800{}@example.org\0"}, "{}@example.org", True),
        ({"name": "\ud800"}, "{}@example.org", True),
    ],
)
async def test_odd_claims_are_read_as_far_as_they_go(system, provider, odd, email, verified):
    subject, claims = person()
    odd = {name: text.format(subject) if isinstance(text, str) else text for name, text in odd.items()}
    command = proof(provider, subject, code_claims={**claims, **odd})
    user = (await system.run("sign_in_with_provider", command))["user"]
    assert (user["email"], user["email_verified"]) == (email.format(subject), verified)


async def test_no_address_is_no_account(system, provider):
    for email in (None, "", "no address", 7):
        with pytest.raises(ProviderEmailMissing):
            await system.run(
                "sign_in_with_provider", proof(provider, person()[0], code_claims={"email": email})
            )


async def test_an_address_the_provider_did_not_prove_is_proven_by_mail(system, provider):
    subject, claims = person(email_verified=False, name="\u200d")
    reply = await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    assert (reply["user"]["email_verified"], reply["user"]["display_name"]) == (False, "New member")
    assert [mail.text for mail in await system.mails(claims["email"])] == ["verify_email"]


async def test_apps_learn_where_to_send_people(system, provider):
    assert await system.run("list_providers", ListProviders()) == {
        "items": [{"name": "acme", "issuer": provider.url, "client_id": CLIENT_ID}],
        "next_cursor": None,
    }


def test_providers_of_a_file(tmp_path):
    place = tmp_path / "providers.toml"
    place.write_text(
        '[google]\nclient_id="g"\nclient_secret="s"\naudiences=["ios"]\n[acme]\nissuer="https://a.example"\nclient_id="a"\n'
    )
    google, acme = read_providers(str(place))
    assert (google.issuer, google.audiences, google.client_secret()) == (
        "https://accounts.google.com",
        ("g", "ios"),
        "s",
    )
    assert (acme.name, acme.issuer) == ("acme", "https://a.example")
    assert read_providers("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "[google",
        "google = 1",
        "[google]",
        '[google]\nclient_id="x"\nclient_sceret="y"',
        '[acme]\nclient_id="x"',
        '[acme]\nclient_id="x"\nissuer="http://a.example"',
        '["Ac me"]\nclient_id="x"\nissuer="https://a.example"',
        '[apple]\nclient_id="x"\nteam_id="t"\nkey_id="k"\nprivate_key_file="none.p8"',
        '[apple]\nclient_id="x"\nteam_id="t"\nkey_id="k"\nprivate_key_file="public.p8"',
        '[apple]\nclient_id="x"\nteam_id="t"\nprivate_key_file="private.p8"',
        '[apple]\nclient_id="x"\nkey_id="k"\nprivate_key_file="private.p8"',
        '[google]\nclient_id=""',
        '[google]\nclient_id="x"\naudiences=[""]',
        '[acme]\nclient_id="x"\nissuer="https://a.example?b"',
        '[acme]\nclient_id="x"\nissuer="https://a.example#b"',
        '[acme]\nclient_id="x"\nissuer="https://a:b@a.example"',
        f"a = {'9' * 5_000}",
        f"a = {'[' * 5_000}",
    ],
)
def test_file_that_names_no_provider_stops_the_start(text, tmp_path):
    place = tmp_path / "providers.toml"
    place.write_text(text)
    key = ECKey.generate_key("P-256")
    (tmp_path / "public.p8").write_bytes(key.as_pem(private=False))
    (tmp_path / "private.p8").write_bytes(key.as_pem(private=True))
    with pytest.raises(SettingsError, match="MNBARA_OAUTH_PROVIDERS"):
        read_providers(str(place))


def test_tools_know_no_provider_without_a_file():
    assert OauthTools({}).providers == []


async def test_a_provider_is_one_factor_of_two(system, provider):
    subject, claims = person()
    reply = await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    member = await system.member(claims["email"], reply)
    began = await system.run("begin_totp", BeginTotp(), member.caller)
    code = code_of(base64.b32decode(began["secret"]), now_instant() // STEP_MS)
    recovery = await system.run("confirm_totp", ConfirmTotp(code=code), member.caller)
    with pytest.raises(SecondFactorRequired) as asked:
        await system.run("sign_in_with_provider", proof(provider, subject, code_claims=claims))
    shown = LoginSecondFactor(challenge=asked.value.facts["challenge"], recovery_code=recovery["codes"][0])
    assert (await system.run("login_second_factor", shown))["user"]["email"] == claims["email"]
