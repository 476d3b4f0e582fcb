"""Sign up, connect, be signed out: access taken away reaches every process and socket within a second."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
import pytest_asyncio

from tests.support.players import PASSWORD, Player, Socket, sign_up
from tests.support.system import System, running_system, scratch_home

PROCESSES = 2
SOCKETS = 12


@pytest.fixture(scope="module")
def system(database: str, redis_url: str, nats_url: str) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": nats_url,
        "MNBARA_RATE_LIMITS": "off",
        "MNBARA_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8",
    }
    with (
        scratch_home() as home,
        running_system(home, processes=PROCESSES, environment=environment) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as client:
        yield client


async def sign_in(player: Player) -> Player:
    """Return the same user with another session."""
    answer = await player.http.post("/v1/auth/login", json={"email": player.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return Player(player.http, player.user_id, player.email, answer.json()["tokens"])


async def open_sockets(system: System, player: Player, count: int) -> list[Socket]:
    """Connect until both processes have some (the kernel spreads them)."""
    sockets = [Socket(system.websocket_url, player.tokens["access_token"]) for _ in range(count)]
    for socket in sockets:
        await socket.__aenter__()
        socket.codes.clear()
    return sockets


async def close_all(sockets: list[Socket]) -> None:
    for socket in sockets:
        await socket.client.disconnect()


async def all_told(sockets: list[Socket], begun: float) -> float:
    """Return how long it took until the server had closed every socket."""
    async with asyncio.timeout(5):
        while not all(socket.codes for socket in sockets):
            await asyncio.sleep(0.005)
    return time.monotonic() - begun


async def status_on_fresh_connections(system: System, player: Player, count: int = 12) -> set[int]:
    """Ask who I am over new TCP connections, so that every process answers some."""
    statuses = set()
    for _ in range(count):
        async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as other:
            statuses.add((await other.get("/v1/auth/me", headers=player.headers)).status_code)
    return statuses


async def test_user_signs_up_and_reads_themselves_on_both_doors(
    system: System, http: httpx.AsyncClient
) -> None:
    player = await sign_up(http, "amina")
    me = await player.get("/v1/auth/me")
    assert me.status_code == 200
    assert me.json()["id"] == player.user_id
    async with Socket(system.websocket_url, player.tokens["access_token"]) as socket:
        assert await socket.rpc("auth.get_me") == me.json()


async def test_published_keys_verify_tokens_of_every_process(system: System, http: httpx.AsyncClient) -> None:
    keys = jwt.PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
    for _ in range(6):
        async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as other:
            token = (await sign_up(other)).tokens["access_token"]
        key = next(key for key in keys.keys if key.key_id == jwt.get_unverified_header(token)["kid"])
        assert jwt.decode(token, key, algorithms=["EdDSA"], audience="mnbara", issuer=system.base_url)


async def test_logout_closes_every_socket_of_that_session_alone_within_a_second(
    system: System, http: httpx.AsyncClient
) -> None:
    player = await sign_up(http)
    other = await sign_in(player)
    closing, staying = (
        await open_sockets(system, player, SOCKETS),
        await open_sockets(system, other, 2),
    )
    begun = time.monotonic()
    answer = await player.post("/v1/auth/logout", {})
    assert answer.status_code == 200, answer.text
    took_s = await all_told(closing, begun)
    assert took_s < 1
    assert {code for socket in closing for code, _ in socket.codes} == {4501}
    assert not any(socket.codes for socket in staying)
    assert await status_on_fresh_connections(system, player) == {401}
    assert await status_on_fresh_connections(system, other, 4) == {200}
    refreshed = await http.post("/v1/auth/refresh", json={"refresh_token": player.tokens["refresh_token"]})
    assert refreshed.status_code == 401
    assert refreshed.json()["code"] == "session_over"
    assert any(data["type"] == "session_ended" for _, data in staying[0].personal)
    await close_all(closing + staying)


async def test_session_ended_from_another_device_closes_its_sockets_within_a_second(
    system: System, http: httpx.AsyncClient
) -> None:
    player = await sign_up(http)
    other = await sign_in(player)
    sessions = (await other.get("/v1/auth/sessions")).json()["items"]
    ended = next(session["id"] for session in sessions if not session["current"])
    closing, staying = await open_sockets(system, player, SOCKETS), await open_sockets(system, other, 2)
    begun = time.monotonic()
    answer = await http.delete(f"/v1/auth/sessions/{ended}", headers=other.headers)
    assert answer.status_code == 200, answer.text
    assert await all_told(closing, begun) < 1
    assert {code for socket in closing for code, _ in socket.codes} == {4501}
    assert not any(socket.codes for socket in staying)
    await close_all(closing + staying)


async def test_who_ends_their_own_session_over_a_socket_is_answered_first(
    system: System, http: httpx.AsyncClient
) -> None:
    player = await sign_up(http)
    (session,) = (await player.get("/v1/auth/sessions")).json()["items"]
    (socket,) = await open_sockets(system, player, 1)
    begun = time.monotonic()
    assert await socket.rpc("auth.end_session", session_id=session["id"]) == {"session_id": session["id"]}
    assert await all_told([socket], begun) < 1
    await close_all([socket])


async def test_logout_is_known_although_its_process_is_killed_at_once(
    system: System, http: httpx.AsyncClient
) -> None:
    player = await sign_up(http)
    answer = await player.post("/v1/auth/logout", {})
    assert answer.status_code == 200
    await asyncio.to_thread(system.kill, "server-0")
    await asyncio.sleep(1)
    async with asyncio.timeout(20):
        while True:
            try:
                assert await status_on_fresh_connections(system, player) == {401}
                break
            except httpx.TransportError:  # the killed one's listener goes away
                await asyncio.sleep(0.1)


async def test_new_roles_reconnect_every_socket_and_a_ban_closes_them_for_good(
    system: System, http: httpx.AsyncClient, pool: Any
) -> None:
    player, admin = await sign_up(http), await sign_up(http, "admin")
    await pool.execute("UPDATE users SET roles = '{admin,user}' WHERE user_id = $1", UUID(admin.user_id))
    admin = await sign_in(admin)
    sockets = await open_sockets(system, player, 4)
    begun = time.monotonic()
    path = f"/v1/users/{player.user_id}"
    changed = await http.put(f"{path}/roles", json={"roles": ["support"]}, headers=admin.headers)
    assert changed.status_code == 200, changed.text
    assert await all_told(sockets, begun) < 1
    assert {socket.codes[0][0] for socket in sockets} == {4401}
    await close_all(sockets)
    async with asyncio.timeout(1):  # a process without a socket of theirs learns it when it looks next
        while (denied := await player.get("/v1/auth/me")).status_code == 200:
            await asyncio.sleep(0.01)
    assert denied.json()["code"] == "token_expired"
    assert "www-authenticate" in denied.headers

    fresh = await sign_in(player)
    assert (await fresh.get("/v1/auth/me")).json()["roles"] == ["support", "user"]
    sockets = await open_sockets(system, fresh, 4)
    begun = time.monotonic()
    banned = await admin.post(f"{path}/ban", {"reason": "fraud"})
    assert banned.status_code == 200, banned.text
    assert await all_told(sockets, begun) < 1
    assert {socket.codes[0][0] for socket in sockets} == {4501}
    await close_all(sockets)
    answer = await http.post("/v1/auth/login", json={"email": player.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (403, "account_banned")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("register", {}, 400, "invalid_input"),
        ("register", {"email": "x", "password": PASSWORD, "display_name": "X"}, 400, "invalid_input"),
        (
            "register",
            {"email": "x@example.org", "password": "short", "display_name": "X"},
            400,
            "invalid_input",
        ),
        (
            "register",
            {"email": "x@example.org", "password": "password1", "display_name": "X"},
            422,
            "password_too_common",
        ),
        ("login", {"email": "nobody@example.org", "password": "wrong wrong"}, 401, "bad_credentials"),
        ("login", {"email": ["a"], "password": {}}, 400, "invalid_input"),
        ("refresh", {"refresh_token": "x"}, 401, "token_invalid"),
        ("refresh", {"refresh_token": None}, 400, "invalid_input"),
        ("logout", {}, 401, "unauthenticated"),
    ],
)
async def test_bad_input_gets_its_catalogued_problem(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await http.post(f"/v1/auth/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("peer", "seen"), [("127.0.0.1", "203.0.113.9"), ("127.0.0.5", "127.0.0.5")], ids=["named", "not named"]
)
async def test_a_proxy_speaks_for_its_client_where_it_is_named(system, peer, seen):
    transport = httpx.AsyncHTTPTransport(local_address=peer)
    forwarded = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9, 10.1.2.3"}
    async with httpx.AsyncClient(base_url=system.base_url, transport=transport, headers=forwarded) as behind:
        player = await sign_up(behind)
        (session,) = (await player.get("/v1/auth/sessions")).json()["items"]
        assert session["remote_ip"] == seen
