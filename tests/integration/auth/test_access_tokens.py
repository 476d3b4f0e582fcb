"""Access tokens: what is accepted, what is not, and how fast an end is known."""

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from handlers.auth import tokens
from handlers.auth.keys import SIGNING_FILE, KeyRing, thumbprint
from handlers.auth.revocations import RevocationWatch
from handlers.auth.tokens import TokenSigner, TokenVerifier
from handlers.contract import Caller
from protocols.auth.commands import Logout, Refresh, SessionOver, TokenExpired, TokenInvalid
from protocols.errors import TemporarilyUnavailable
from protocols.values import now_instant
from storage.auth.sessions_postgres import Revocation
from storage.engines.postgres import open_database
from tests.support.auth_system import ISSUER, AuthTestSystem, Member

Pool = Any
LATER_MS = 10**13


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def forge(
    system: AuthTestSystem, member: Member, headers: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Sign with the real key a token that differs from a good one in some claims (None: left out)."""
    claims = {**claims_of(member.access_token), "jti": uuid4().hex, **changes}
    key = system.tools.keys.signer
    head = {"kid": key.kid, "typ": "at+jwt", **(headers or {})}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key.private, algorithm="EdDSA", headers=head)


async def test_access_token_is_a_standard_jwt_that_the_published_keys_verify(system: AuthTestSystem) -> None:
    member = await system.join()
    header = jwt.get_unverified_header(member.access_token)
    assert header["alg"] == "EdDSA"
    document = json.loads(json.dumps(system.tools.keys.jwks()))
    published = {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys}
    claims = jwt.decode(
        member.access_token, published[header["kid"]], algorithms=["EdDSA"], audience="mnbara", issuer=ISSUER
    )
    assert {"sub", "sid", "roles", "exp", "iat", "iss", "aud", "jti"} <= set(claims)
    assert (claims["sub"], claims["sid"]) == (str(member.user_id), str(member.session_id))
    assert isinstance(claims["iat"], int)
    assert isinstance(claims["exp"], int)


async def test_published_keys_hold_nothing_private(system: AuthTestSystem) -> None:
    (key,) = system.tools.keys.jwks()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}


def test_thumbprint_is_that_of_rfc_8037() -> None:
    """The example of RFC 8037 appendix A.3."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint({**jwk, "use": "sig"}) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


async def test_verified_token_names_caller_and_expiry(system: AuthTestSystem) -> None:
    member = await system.join()
    for _ in range(3):
        verified = await system.verifier.verify_access_token(member.access_token)
        assert verified.caller == Caller(member.user_id, member.session_id, frozenset({"user"}))
        assert verified.expires_at_s == claims_of(member.access_token)["exp"]


async def test_lives_are_spread_and_never_longer_than_asked(system: AuthTestSystem) -> None:
    signer = TokenSigner(system.tools.keys, ISSUER, 1000)
    caller = Caller(uuid4(), uuid4())
    lives = [signer.sign(caller, 1, now_instant(), LATER_MS)[1] for _ in range(200)]
    assert min(lives) >= 950
    assert max(lives) <= 1000
    assert len(set(lives)) > 20


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": ["mnbara2"]},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": None},
        {"sub": None},
        {"sid": None},
        {"sid": "not an id"},
        {"sub": ""},
        {"roles": None},
        {"roles": 7},
        {"ver": None},
        {"ver": "x"},
        {"jti": None},
        {"iat": None},
        {"exp": "soon"},
        {"exp": 10**10 + 0.5},
        {"nbf": 10**10},
        {"jti": 7},
        {"roles": "user"},
        {"headers": {"kid": "unknown"}},
        {"headers": {"kid": ""}},
        {"headers": {"typ": "JWT"}},
        {"headers": {"typ": None}},
        {"headers": {"crit": ["x"], "x": 1}},
        {"headers": {"b64": False, "crit": ["b64"]}},
        {"headers": {"jwk": {"kty": "OKP"}}},
    ],
)
async def test_token_with_a_wrong_claim_or_header_is_invalid(
    system: AuthTestSystem, changes: dict[str, Any]
) -> None:
    member = await system.join()
    assert await system.verifier.verify_access_token(forge(system, member))
    with pytest.raises(TokenInvalid):
        await system.verifier.verify_access_token(forge(system, member, **changes))


async def test_expired_token_is_told_apart_from_an_invalid_one(system: AuthTestSystem) -> None:
    member = await system.join()
    with pytest.raises(TokenExpired):
        await system.verifier.verify_access_token(forge(system, member, exp=int(time.time()) - 1))


async def test_token_expires_also_when_it_was_verified_before(system: AuthTestSystem) -> None:
    member = await system.join()
    token = forge(system, member, exp=int(time.time()) + 2)
    await system.verifier.verify_access_token(token)
    await asyncio.sleep(2.05)
    with pytest.raises(TokenExpired):
        await system.verifier.verify_access_token(token)


def _b64(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


async def test_token_that_asks_for_another_algorithm_is_invalid(system: AuthTestSystem) -> None:
    member = await system.join()
    claims = claims_of(member.access_token)
    key = system.tools.keys.signer
    for algorithm in ("none", "None", "NONE", "HS256"):
        header = _b64({"alg": algorithm, "typ": "at+jwt", "kid": key.kid})
        for signature in ("", member.access_token.rpartition(".")[2]):
            with pytest.raises(TokenInvalid):
                await system.verifier.verify_access_token(f"{header}.{_b64(claims)}.{signature}")
    public = key.public_jwk["x"] * 2
    confused = jwt.encode(claims, public, algorithm="HS256", headers={"kid": key.kid, "typ": "at+jwt"})
    with pytest.raises(TokenInvalid):
        await system.verifier.verify_access_token(confused)


async def test_token_signed_by_a_stranger_under_our_key_name_is_invalid(system: AuthTestSystem) -> None:
    member = await system.join()
    headers = {"kid": system.tools.keys.signer.kid, "typ": "at+jwt"}
    strange = Ed25519PrivateKey.generate()
    token = jwt.encode(claims_of(member.access_token), strange, algorithm="EdDSA", headers=headers)
    with pytest.raises(TokenInvalid):
        await system.verifier.verify_access_token(token)


async def test_tampered_token_is_invalid_wherever_it_was_changed(system: AuthTestSystem) -> None:
    member = await system.join()
    token = member.access_token
    await system.verifier.verify_access_token(token)
    for place in range(0, len(token), 3):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(TokenInvalid):
            await system.verifier.verify_access_token(changed)


async def test_only_one_spelling_of_a_token_is_good(system: AuthTestSystem) -> None:
    """Base64 leaves four bits of the last letter unused, and many decoders skip what is not of its alphabet."""
    token = (await system.join()).access_token
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    spellings = [token[:-1] + alphabet[last ^ spare] for spare in range(1, 16)]
    spellings += [token + "=", token + "==", token + "\n", " " + token, token[:-9] + "!" + token[-9:]]
    for spelled in spellings:
        with pytest.raises(TokenInvalid):
            await system.verifier.verify_access_token(spelled)
    assert await system.verifier.verify_access_token(token)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "é.é.é", "\0", "x" * 5000, "ab\ud800", "eyJhbGciOiJFZERTQSJ9..", "[].[].[]"],
)
async def test_what_is_no_token_is_invalid(system: AuthTestSystem, token: str) -> None:
    with pytest.raises(TokenInvalid):
        await system.verifier.verify_access_token(token)


async def test_cache_of_verified_tokens_is_bounded(
    system: AuthTestSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "CACHE_MAX", 10)
    verifier = TokenVerifier(system.tools.keys, ISSUER, system.watch)
    member = await system.join()
    for _ in range(50):
        await verifier.verify_access_token(forge(system, member))
        await verifier.verify_access_token(member.access_token)
    assert len(verifier._reader._cache) == 10


async def test_common_check_costs_no_database_round_trip(system: AuthTestSystem, database: str) -> None:
    member = await system.join()
    await system.verifier.verify_access_token(member.access_token)
    away = await open_database(database)
    watch = RevocationWatch(away, 900)
    await watch.refresh()
    await away.close()  # any query would raise now
    verifier = TokenVerifier(system.tools.keys, ISSUER, watch)
    for _ in range(100):
        await verifier.verify_access_token(member.access_token)


async def test_logout_is_known_on_every_process_within_a_second(
    system: AuthTestSystem, database: str
) -> None:
    """Three other processes' watches with nobody to tell them: what they see is what PostgreSQL has."""
    databases = [await open_database(database) for _ in range(3)]
    told: list[list[Revocation]] = [[] for _ in databases]
    watches = [RevocationWatch(each, 900, told[place].extend) for place, each in enumerate(databases)]
    for watch in watches:
        await watch.start()
    verifiers = [TokenVerifier(system.tools.keys, ISSUER, watch) for watch in watches]
    for _ in range(3):
        member = await system.join()
        for verifier in verifiers:
            await verifier.verify_access_token(member.access_token)
        await system.run("logout", Logout(), member.caller)
        begun = time.monotonic()
        waiting = list(verifiers)
        while waiting:
            await asyncio.sleep(0.01)
            for verifier in list(waiting):
                try:
                    await verifier.verify_access_token(member.access_token)
                except SessionOver:
                    waiting.remove(verifier)
            assert time.monotonic() - begun < 1
        assert all([r.session_id for r in each].count(member.session_id) == 1 for each in told)
    for watch, each in zip(watches, databases, strict=True):
        await watch.close()
        await each.close()


async def test_process_that_starts_after_a_logout_knows_it(system: AuthTestSystem, database: str) -> None:
    member = await system.join()
    await system.run("logout", Logout(), member.caller)
    late = await open_database(database)
    watch = RevocationWatch(late, 900)
    await watch.start()
    with pytest.raises(SessionOver):
        await TokenVerifier(system.tools.keys, ISSUER, watch).verify_access_token(member.access_token)
    await watch.close()
    await late.close()


async def test_end_that_commits_long_after_it_was_written_is_not_missed(
    system: AuthTestSystem, pool: Pool
) -> None:
    """A transaction that began before others which commit first: its end carries an older transaction number."""
    slow, quick = await system.join(), await system.join()
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "UPDATE sessions SET ended_at_ms = $2, ended_because = 'logout', ended_in = pg_current_xact_id()"
            " WHERE session_id = $1",
            slow.session_id,
            now_instant(),
        )
        await system.run("logout", Logout(), quick.caller)
        for _ in range(3):
            await system.watch.refresh()
        assert system.watch.has_ended(quick.session_id)
        assert not system.watch.has_ended(slow.session_id)
        await transaction.commit()
    await system.watch.refresh()
    assert system.watch.has_ended(slow.session_id)


async def test_tokens_are_not_trusted_while_the_database_is_out_of_sight(
    system: AuthTestSystem, database: str
) -> None:
    member = await system.join()
    lost = await open_database(database)
    watch = RevocationWatch(lost, 900)
    await watch.start()
    verifier = TokenVerifier(system.tools.keys, ISSUER, watch)
    await verifier.verify_access_token(member.access_token)
    await lost.close()
    await asyncio.sleep(1)
    results = await asyncio.gather(
        *(verifier.verify_access_token(member.access_token) for _ in range(50)), return_exceptions=True
    )
    assert all(isinstance(result, TemporarilyUnavailable) for result in results)
    with pytest.raises(TokenInvalid):
        await verifier.verify_access_token("a.b.c")
    await watch.close()


async def test_stalled_process_looks_again_before_it_trusts_a_token(
    system: AuthTestSystem, database: str
) -> None:
    """No timer ran for a while: the first token checked waits for one shared look."""
    member = await system.join()
    stalled = await open_database(database)
    watch = RevocationWatch(stalled, 900)
    await watch.refresh()
    verifier = TokenVerifier(system.tools.keys, ISSUER, watch)
    await verifier.verify_access_token(member.access_token)
    await system.run("logout", Logout(), member.caller)
    await asyncio.sleep(0.95)
    with pytest.raises(SessionOver):
        await verifier.verify_access_token(member.access_token)
    await watch.close()
    await stalled.close()


async def test_watch_forgets_ends_that_no_living_token_can_have(
    system: AuthTestSystem, pool: Pool, database: str
) -> None:
    member, other = await system.join(), await system.join()
    for each in (member, other):
        await system.run("logout", Logout(), each.caller)
    await pool.execute(
        "UPDATE sessions SET ended_at_ms = ended_at_ms - 3600000 WHERE session_id = $1", member.session_id
    )
    third = await open_database(database)
    watch = RevocationWatch(third, 900)
    await watch.refresh()
    assert not watch.has_ended(member.session_id)
    assert watch.has_ended(other.session_id)
    watch._prune(now_instant() + 1)
    assert not watch.has_ended(other.session_id)
    await third.close()


async def test_key_put_in_front_signs_and_older_tokens_stay_good(
    system: AuthTestSystem, tmp_path: Path
) -> None:
    ring = KeyRing(tmp_path)
    running = TokenVerifier(ring, ISSUER, system.watch)
    member = await system.join()
    caller = member.caller
    old, _ = TokenSigner(ring, ISSUER, 900).sign(caller, 1, now_instant(), LATER_MS)
    await running.verify_access_token(old)
    path = tmp_path / SIGNING_FILE
    content = json.loads(path.read_text())
    content["keys"].insert(0, json.loads(_new_key_file(tmp_path / "other"))["keys"][0])
    path.write_text(json.dumps(content))
    restarted = KeyRing(tmp_path)
    new, _ = TokenSigner(restarted, ISSUER, 900).sign(caller, 1, now_instant(), LATER_MS)
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
    assert len(restarted.jwks()["keys"]) == 2
    await TokenVerifier(restarted, ISSUER, system.watch).verify_access_token(old)
    ring._looked_at = float("-inf")  # a process still running looked long ago
    await running.verify_access_token(new)


def _new_key_file(folder: Path) -> str:
    KeyRing(folder)
    return (folder / SIGNING_FILE).read_text()


async def test_broken_key_file_does_not_stop_a_running_process(
    system: AuthTestSystem, tmp_path: Path
) -> None:
    ring = KeyRing(tmp_path)
    (tmp_path / SIGNING_FILE).write_text("{")
    ring._looked_at = float("-inf")
    assert ring.find("unknown") is None
    assert ring.find(ring.signer.kid) is ring.signer


async def test_refreshed_access_token_is_another_one(system: AuthTestSystem) -> None:
    member = await system.join()
    reply = await system.run("refresh", Refresh(refresh_token=member.refresh_token))
    assert claims_of(reply["tokens"]["access_token"])["jti"] != claims_of(member.access_token)["jti"]


async def test_verified_token_is_judged_again_without_waiting(system: AuthTestSystem) -> None:
    member = await system.join()
    verified = await system.verifier.verify_access_token(member.access_token)
    system.verifier.confirm(verified)
    await system.run("logout", Logout(), member.caller)
    await system.watch.refresh()
    with pytest.raises(SessionOver):
        system.verifier.confirm(verified)
