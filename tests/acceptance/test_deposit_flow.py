"""A deposit on a running system: from a wallet through an auction into the seller's wallet, and heard live."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from protocols.values import new_id
from tests.support.money import give_money
from tests.support.players import Player, Socket, open_auction, sign_up
from tests.support.system import System, running_system, scratch_home
from tests.support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def system(engines, database, redis_url) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
    }
    with scratch_home() as home, running_system(home, processes=2, environment=environment) as running:
        yield running


async def wallet(person: Player) -> tuple[int, int]:
    """What somebody has in euros, available and held."""
    items = (await person.get("/v1/wallets")).json()["items"]
    return (items[0]["available"], items[0]["held"]) if items else (0, 0)


async def test_a_deposit_is_held_applied_and_released(system, database):
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as http:
        seller, winner, loser = [await sign_up(http, name) for name in ("seller", "winner", "loser")]
        for person in (winner, loser):
            await give_money(database, UUID(person.user_id))
        ends_at = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        auction = await open_auction(seller, deposit=1_000, ends_at=ends_at)
        bids = f"/v1/auctions/{auction['id']}/bids"
        refused = await winner.post(bids, {"amount": 5_000}, key=str(new_id()))
        told = refused.json()
        assert (refused.status_code, told["code"], told["deposit"]) == (422, "deposit_required", 1_000)
        async with Socket(system.websocket_url, winner.tokens["access_token"]) as socket:
            for person, amount in ((loser, 2_000), (winner, 5_000)):
                body = {"amount": amount, "deposit": 1_000}
                assert (await person.post(bids, body, key=str(new_id()))).is_success
            assert await wallet(winner) == await wallet(loser) == (500, 1_000)

            def heard() -> list[str]:
                return [data["type"] for _, data in socket.personal]

            await until(lambda: "escrow_opened" in heard(), "the escrow of the deposit")
            assert heard().index("deposit_taken") < heard().index("deposit_applied")

            async def is_returned() -> bool:
                return await wallet(loser) == (1_500, 0)

            await until(is_returned, "the deposit of who did not win")
            (escrow,) = (await winner.get("/v1/escrows")).json()["items"]
            assert (escrow["ref"], escrow["left"]) == (auction["id"], 1_000)
            read = await seller.get(f"/v1/escrows/{escrow['id']}")
            assert (read.json(), read.headers["etag"]) == (escrow, '"1"')
            path = f"/v1/escrows/{escrow['id']}/release"
            assert (await seller.post(path, {}, key=str(new_id()))).status_code == 403
            released = await winner.post(path, {}, key=str(new_id()))
            assert (released.status_code, released.json()["status"]) == (200, "released")
            await until(lambda: "escrow_released" in heard(), "the news of the release")
        assert await wallet(seller) == (1_000, 0)
        assert await wallet(winner) == (500, 0)
