"""Money of one person from card to bank on a running system, every movement proven to a stranger, down to a chain."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from protocols.values import new_id
from server.cli.grant import grant
from tests.support.chains import answer_by, serve_rpc
from tests.support.evm import Evm
from tests.support.money import assert_books_are_right
from tests.support.players import Player, Socket, open_auction, sign_up
from tests.support.system import ROOT, System, running_system, scratch_home
from tests.support.waiting import until

pytestmark = pytest.mark.slow

KEY = "22" * 32
RIGHT = 0

RELEASE = ("sale", "commission")
"""What leaves the escrow: its parties are proven both."""
EXCHANGE = ("exchange", "exchange", "exchange_spread")
SPENDABLE = {
    "EUR": ("top_up", "hold", "refund", "exchange", "payout"),
    "USD": ("exchange", "exchange_spread"),
}
"""What the winner's statements show, by currency."""
REASONS = {
    "seller": ("sold", "sale", *RELEASE),
    "winner": (
        *("top_up", "hold", "sold", "sale", *RELEASE),
        *("refund", "refund", *EXCHANGE, "payout", "payout"),
    ),
    "loser": ("top_up", "hold", "hold_returned"),
}
"""Of what each is sent a proof: the auction's outcome, and every movement of a deal or of an account of theirs."""


class Story:
    """A running system, its people with their connections, and the chain it is anchored on."""

    def __init__(self, url: str, http: httpx.AsyncClient, pool: asyncpg.Pool, stack: AsyncExitStack) -> None:
        self.url, self.http, self.pool, self._stack = url, http, pool, stack
        self.heard: dict[str, Socket] = {}

    async def join(self, name: str) -> Player:
        """Sign somebody up who listens to the personal channel from the first moment."""
        who = await sign_up(self.http, name)
        socket = Socket(self.url, who.tokens["access_token"])
        self.heard[who.user_id] = await self._stack.enter_async_context(socket)
        return who

    def events(self, who: Player, kind: str) -> list[dict[str, Any]]:
        """What somebody was told of a kind, in order."""
        return [event for _, event in self.heard[who.user_id].personal if event["type"] == kind]

    async def until_told(self, who: Player, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the event of a kind with these fields once it was heard."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events(who, kind) if fields.items() <= event.items()]

        await until(lambda: bool(found()), f"{kind} {fields}")
        return found()[0]

    async def movements(self, who: Player) -> list[str]:
        """The ids of what moved in somebody's wallets."""
        shown = []
        for wallet in (await who.get("/v1/wallets")).json()["items"]:
            page = await who.get(f"/v1/wallets/{wallet['currency']}/entries?limit=100")
            shown += [entry["id"] for entry in page.json()["items"]]
        return shown

    async def hurry(self, timer: str) -> None:
        """Let a timer that is set be due."""
        changed = "WITH t AS (UPDATE timers SET due_at_ms = 0 WHERE kind = $1) SELECT pg_notify('timers', '')"
        await self.pool.execute(changed, timer)


@pytest.fixture(scope="module")
def evm() -> Evm:
    made = Evm()
    made.pay(made.web3.eth.account.from_key(KEY).address, 10**18)
    return made


@pytest.fixture(scope="module")
def chain(evm, tmp_path_factory) -> Iterator[dict[str, str]]:
    """The settings of a chain that has the contract."""
    key = tmp_path_factory.mktemp("chain") / "chain.key"
    key.write_text(KEY)
    with serve_rpc(answer_by(evm)) as url:
        settings = {
            "MNBARA_CHAIN_URL": url,
            "MNBARA_CHAIN_KEY": str(key),
            "MNBARA_CHAIN_INTERVAL_S": "1",
        }
        command = [sys.executable, "-m", "server.cli", "deploy-anchor"]
        environment = {"PATH": os.environ["PATH"]} | settings
        deployed = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert deployed.returncode == 0, deployed.stderr
        contract = deployed.stdout.partition("MNBARA_CHAIN_CONTRACT=")[2].split()[0]
        yield settings | {"MNBARA_CHAIN_CONTRACT": contract}


@pytest.fixture(scope="module")
def system(engines, database, redis_url, chain) -> Iterator[System]:
    environment = chain | {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
    }
    with scratch_home() as home, running_system(home, processes=2, environment=environment) as running:
        yield running


async def done(who: Player, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Have a command carried out; rates of currencies are read in a system's first seconds."""
    key = str(new_id())
    while (answer := await who.post(path, body, key=key)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        await asyncio.sleep(0.1)
    assert answer.is_success, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def pay_in(story: Story, who: Player, amount: int) -> dict[str, Any]:
    """Top a wallet up by card."""
    top_up = await done(who, "/v1/top-ups", {"money": {"amount": amount, "currency": "EUR"}})
    assert top_up["test_money"] is True
    card = {"client_secret": top_up["client_secret"], "card": "visa"}
    await done(who, "/v1/test-payments/confirm", card)
    return await story.until_told(who, "top_up_changed", top_up_id=top_up["id"], status="succeeded")


async def win_an_auction(story: Story, seller: Player, winner: Player, loser: Player) -> None:
    """Bid with deposits; the winner's is released to the seller, the other one is returned."""
    ends_at = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    auction = await open_auction(seller, deposit=1_000, ends_at=ends_at)
    for who, amount in ((loser, 2_000), (winner, 5_000)):
        await done(who, f"/v1/auctions/{auction['id']}/bids", {"amount": amount, "deposit": 1_000})
    await story.until_told(loser, "deposit_returned")
    escrow = await story.until_told(winner, "escrow_opened")
    await done(winner, f"/v1/escrows/{escrow['escrow_id']}/release", {})
    await story.until_told(seller, "escrow_released")


async def take_money_out(story: Story, who: Player) -> None:
    """Ask for a payout, and have it paid."""
    await done(who, "/v1/payout-accounts", {"country": "DE"})
    await done(who, "/v1/test-payments/onboard", {"status": "active"})
    await story.until_told(who, "payout_account_changed", status="active")
    payout = await done(who, "/v1/payouts", {"money": {"amount": 700, "currency": "EUR"}})
    await story.hurry("check_payouts")
    await story.until_told(who, "payout_changed", payout_id=payout["id"], status="sent")
    await story.until_told(who, "payout_changed", payout_id=payout["id"], status="paid")


def alone(folder: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the checkers with nothing of ours around it."""
    file = folder / program
    if not file.exists():
        shutil.copy(ROOT / "server" / "cli" / program, file)
    return subprocess.run(
        [sys.executable, "-I", str(file), *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def check_all(folder: Path, key: str, proofs: dict[str, str]) -> list[str]:
    """Verify proofs by name with the checker alone; return what it says of each."""

    def check(named: tuple[str, str]) -> str:
        file = folder / f"{named[0]}.tlog-proof"
        file.write_text(named[1])
        told = alone(folder, "verify_ledger.py", str(file), "--key", key)
        assert told.returncode == RIGHT, told.stdout + told.stderr
        return told.stdout

    with ThreadPoolExecutor(2) as beside:
        return list(beside.map(check, proofs.items()))


async def anchored(story: Story) -> dict[str, Any]:
    """Return the anchor of the newest checkpoint once it is final."""
    answer: dict[str, Any] = {}

    async def stands() -> bool:
        size = (await story.http.get("/v1/ledger/checkpoint")).text.split("\n")[1]
        answer.update((await story.http.get(f"/v1/ledger/anchors/{size}")).json())
        return bool(answer["status"] == "anchored")

    await until(stands, "the anchor of the newest checkpoint")
    return answer


async def reconcile(story: Story, days: set[date]) -> None:
    """Ask for the reports of days as if they were over."""
    for day in days:
        report_id = new_id()
        insert = "INSERT INTO reconciliations (report_id, day, status, started_at_ms) VALUES ($1, $2, 'running', 0)"
        await story.pool.execute(insert, report_id, day)
        job = "INSERT INTO jobs (job_id, kind, ref, at_ms, due_at_ms) VALUES ($1, 'payments.reconcile', $2, 0, 0)"
        await story.pool.execute(job, new_id(), report_id)


async def figures(http: httpx.AsyncClient, name: str) -> list[float]:
    shown = (await http.get("/metrics")).text
    return [float(number) for number in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", shown, re.MULTILINE)]


async def assert_all_is_right(story: Story, headers: dict[str, str], began: date) -> None:
    """Compare what operators see: the treasury, the provider's books, the auditor's whole pass."""
    treasury = (await story.http.get("/v1/admin/treasury", headers=headers)).json()
    assert treasury["balanced"]
    assert treasury["faulty_accounts"] == 0
    assert {each["currency"]: each["trial_balance"] for each in treasury["currencies"]} == {
        "EUR": 0,
        "USD": 0,
    }
    await assert_books_are_right(story.pool)
    days = {began, datetime.now(UTC).date()}
    await reconcile(story, days)

    async def reports() -> list[dict[str, Any]]:
        items = (await story.http.get("/v1/admin/reconciliations", headers=headers)).json()["items"]
        return [
            each for each in items if date.fromisoformat(each["day"]) in days and each["status"] == "done"
        ]

    async def compared() -> bool:
        return len(await reports()) == len(days)

    await until(compared, "the reports")
    assert [(each["difference_count"], each["differences"]) for each in await reports()] == [(0, [])] * len(
        days
    )
    assert sum([each["movements"] for each in await reports()]) == 4  # two top-ups, a refund, a payout

    last = "SELECT pass_number FROM ledger_audit"
    before = await story.pool.fetchval(last)

    async def passed() -> bool:
        await story.pool.execute(
            "UPDATE ledger_audit SET passed_at_ms = 0 WHERE started_at_ms = 0"
        )  # no rest
        return bool(await story.pool.fetchval(last) > before + 1)

    await until(passed, "a whole pass of the auditor")
    assert await story.pool.fetchval("SELECT count(*) FROM ledger_differences") == 0
    assert set(await figures(story.http, "mnbara_ledger_audit_differences")) == {0.0}


async def operator(story: Story, postgres_url: str, redis_url: str) -> dict[str, str]:
    """Return the headers of somebody who may see the books and the log."""
    chief = await sign_up(story.http, "chief")
    await grant(postgres_url, redis_url, chief.email, ["admin", "finance"])
    refreshed = await story.http.post(
        "/v1/auth/refresh", json={"refresh_token": chief.tokens["refresh_token"]}, headers=chief.headers
    )
    return {"Authorization": f"Bearer {refreshed.json()['tokens']['access_token']}"}


async def hear_all_proofs(story: Story, who: Player, reasons: Sequence[str]) -> list[dict[str, Any]]:
    """Return the proofs that somebody was sent once there are as many as movements of these reasons."""
    for transfer_id in await story.movements(who):
        await story.until_told(who, "proof_ready", entry=transfer_id)
    wanted = len(reasons)
    await until(lambda: len(story.events(who, "proof_ready")) >= wanted, f"{wanted} proofs")
    return story.events(who, "proof_ready")


async def check_proofs(story: Story, folder: Path, people: dict[str, Player]) -> Path:
    """Verify every proof offline, as it was sent and as it is served for the anchored tree; return one of these."""
    heard = [
        (name, ready)
        for name, who in people.items()
        for ready in await hear_all_proofs(story, who, REASONS[name])
    ]
    anchor = await anchored(story)
    proofs: dict[str, str] = {}
    for name, ready in heard:
        path = f"/v1/ledger/entries/{ready['index']}/proof?tree_size={anchor['anchor_size']}"
        proofs[f"{name}-{ready['index']}-sent"] = ready["proof"]
        proofs[f"{name}-{ready['index']}-served"] = (await people[name].get(path)).text
    key = (await story.http.get("/v1/ledger/key")).json()["vkey"]
    told = await asyncio.to_thread(check_all, folder, key, proofs)
    for place, (_, ready) in enumerate(heard):
        for words in told[2 * place : 2 * place + 2]:
            assert f"Entry {ready['index']} is in the tree" in words
            assert f" {ready['entry']}\n" in words
    for name, reasons in REASONS.items():
        proven = [
            re.search(r"(?:reason|outcome) (\S+)", words)[1]
            for (whose, _), words in zip(heard, told[::2], strict=True)
            if whose == name
        ]
        assert sorted(proven) == sorted(reasons), name
    ends = {text.partition("\n\n")[2] for name, text in proofs.items() if name.endswith("-served")}
    assert len(ends) == 1, "one checkpoint, the one that is anchored"
    return folder / f"{next(reversed(proofs))}.tlog-proof"


async def check_statements(who: Player, began: datetime) -> None:
    """What came and went of what one could spend: the same as a page, as a file, and as the wallet says."""
    ends = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    bounds = {"from": (began - timedelta(minutes=1)).isoformat(), "to": ends}
    wallets = {each["currency"]: each for each in (await who.get("/v1/wallets")).json()["items"]}
    assert set(wallets) == set(SPENDABLE)
    for currency, reasons in SPENDABLE.items():
        path = f"/v1/wallets/{currency}/statement"
        page = (await who.http.get(path, params=bounds, headers=who.headers)).json()
        assert [item["reason"] for item in page["items"]] == list(reasons)
        assert page["opening"] == 0
        assert page["closing"] == sum(item["amount"] for item in page["items"])
        assert page["closing"] == wallets[currency]["available"]
        table = await who.http.get(path, params=bounds | {"format": "csv"}, headers=who.headers)
        assert [line.split(",")[2] for line in table.text.splitlines()[2:-1]] == list(reasons)
    assert wallets["EUR"]["available"] == 300
    assert {(each["held"], each["pending"], each["owed"]) for each in wallets.values()} == {(0, 0, 0)}


async def test_money_from_card_to_bank_is_proven_down_to_the_chain(
    system, database, redis_url, chain, tmp_path
):
    began = datetime.now(UTC)

    async with (
        httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as http,
        asyncpg.create_pool(database, min_size=1, max_size=2) as pool,
        AsyncExitStack() as stack,
    ):
        story = Story(system.websocket_url, http, pool, stack)
        chief = await operator(story, database, redis_url)
        rules = {"rules": [{"basis_points": 1_000}]}
        made = await http.post(
            "/v1/admin/commission-rules", json=rules, headers=chief | {"Idempotency-Key": str(new_id())}
        )
        assert made.is_success, made.text
        people = {name: await story.join(name) for name in ("seller", "winner", "loser")}
        winner = people["winner"]
        top_up = await pay_in(story, winner, 5_000)
        await pay_in(story, people["loser"], 1_500)
        await win_an_auction(story, *people.values())
        await done(winner, f"/v1/top-ups/{top_up['top_up_id']}/refunds", {"amount": 1_000})
        sell = {"sell": {"amount": 2_000, "currency": "EUR"}, "buy_currency": "USD"}
        quote = await done(winner, "/v1/exchange-quotes", sell)
        await done(winner, f"/v1/exchange-quotes/{quote['id']}/exchange", {})
        await take_money_out(story, winner)
        await check_statements(winner, began)
        file = await check_proofs(story, tmp_path, people)
        words = ("--chain", chain["MNBARA_CHAIN_URL"], "--contract", chain["MNBARA_CHAIN_CONTRACT"])
        told = await asyncio.to_thread(alone, tmp_path, "verify_anchor.py", str(file), *words)
        assert told.returncode == RIGHT, told.stdout + told.stderr
        await assert_all_is_right(story, chief, began.date())
