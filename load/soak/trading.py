"""Traders who do not give up: each command keeps its key until it is answered, over either door, and is read again."""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from load.accounts import Account
from load.client import ServerError, Socket, open_socket
from load.followers import UNREACHABLE

CURRENCIES = ("EUR", "USD", "JPY", "KWD")
ANSWER_WITHIN_S = 90.0
BACK_OFF_S = (0.05, 1.0)
REST_S = 0.05
EXPECTED = frozenset(
    {
        "insufficient_funds",
        "stock_exhausted",
        "quote_expired",
        "quote_used",
        "amount_too_small",
    }
)
"""Refusals that happen to traders."""

Answer = dict[str, Any]


class Refused(Exception):  # noqa: N818 - an expected "no" is not an error
    """The command was refused for good; the word says why."""

    def __init__(self, word: str) -> None:
        """Keep the word."""
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class Call:
    """A command on both doors."""

    rpc: str
    method: str
    path: str
    """With what the fields of the path are filled into."""
    named: Answer
    """The fields of the path, as an RPC has them."""
    body: Answer
    key: str = ""


@dataclass(slots=True)
class Ledger:
    """What all traders did and saw."""

    exchanged: dict[str, Answer] = field(default_factory=dict)
    """Acknowledged exchanges by quote."""
    calls: int = 0
    retried: int = 0
    refused: int = 0
    repeated: int = 0
    pages: int = 0
    violations: list[str] = field(default_factory=list)


class Trader:
    """One person with an HTTP client, and one connection at a time."""

    def __init__(
        self, base_url: str, websocket_url: str, account: Account, ledger: Ledger, seed: str
    ) -> None:
        """Trade nothing until `run`."""
        self.account = account
        self._url = websocket_url
        self._ledger = ledger
        self._random = random.Random(seed)
        self._socket: Socket | None = None
        headers = {"Authorization": f"Bearer {account.token}"}
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20, trust_env=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Exchange and read until `stop`; what is under way is brought to its end."""
        while not stop.is_set():
            try:
                await self._random.choice(
                    (self._exchange, self._exchange, self.read_wallets, self._read_part)
                )()
            except Refused as refused:
                self._ledger.refused += 1
                if refused.word not in EXPECTED:
                    self._ledger.violations.append(f"refused for good: {refused.word}")
            await asyncio.sleep(self._random.uniform(0, 2 * REST_S))

    async def close(self) -> None:
        """Leave both doors."""
        if self._socket is not None:
            self._socket.close()
        await self._http.aclose()

    # -- what traders do ------------------------------------------------------------------------------------------

    async def _exchange(self) -> None:
        sell, buy = self._random.sample(CURRENCIES, 2)
        sold = {"amount": self._random.randint(100, 3_000), "currency": sell}
        body = {"sell": sold, "buy_currency": buy}
        quote = await self.ask(
            Call("payments.quote_exchange", "POST", "/v1/exchange-quotes", {}, body, self._key())
        )
        named = {"quote_id": quote["id"]}
        path = f"/v1/exchange-quotes/{quote['id']}/exchange"
        call = Call("payments.exchange", "POST", path, named, {}, self._key())
        done = await self.ask(call)
        self._ledger.exchanged[quote["id"]] = done
        if (done["sold"], done["bought"]) != (quote["sell"], quote["buy"]):
            self._ledger.violations.append(f"quote {quote['id']} and its exchange differ")
        if self._random.random() < 0.2:
            self._ledger.repeated += 1
            if await self.ask(call) != done:
                self._ledger.violations.append(f"the repeated key of {quote['id']} was answered differently")

    async def read_wallets(self) -> dict[str, Answer]:
        """Return the wallets by currency; nothing in them is below zero."""
        told = await self.ask(Call("payments.list_wallets", "GET", "/v1/wallets", {}, {}))
        for wallet in told["items"]:
            if min(wallet["available"], wallet["held"]) < 0:
                self._ledger.violations.append(f"a wallet is below zero: {wallet}")
        return {wallet["currency"]: wallet for wallet in told["items"]}

    async def _read_part(self) -> None:
        await self.read_statement(self._random.choice(CURRENCIES), pages_max=2)

    async def read_statement(self, currency: str, pages_max: int = 10_000) -> list[Answer]:
        """Return the movements of the last hours, whose running balance goes from the opening to the closing one."""
        named, cursor, entries, balance, page = {"currency": currency}, "", [], None, {}
        path = f"/v1/wallets/{currency}/statement"
        now_s = time.time()
        asked = {"from": _instant(now_s - 86_400), "to": _instant(now_s + 3_600), "limit": 100}
        for _ in range(pages_max):
            body = asked | ({"cursor": cursor} if cursor else {})
            page = await self.ask(Call("payments.get_statement", "GET", path, named, body))
            self._ledger.pages += 1
            balance = page["opening"] if balance is None else balance
            for entry in page["items"]:
                balance += entry["amount"]
                if entry["balance"] != balance:
                    self._ledger.violations.append(f"entry {entry['number']} of {currency} does not follow")
                    balance = entry["balance"]
            entries += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                if balance != page["closing"]:
                    self._ledger.violations.append(
                        f"a statement of {currency} does not end at its closing balance"
                    )
                break
        return entries

    # -- asking ---------------------------------------------------------------------------------------------------

    async def ask(self, call: Call) -> Answer:
        """Return the answer over either door, however often it takes. Raises Refused; TimeoutError when none comes."""
        give_up_at, wait_s = time.monotonic() + ANSWER_WITHIN_S, BACK_OFF_S[0]
        self._ledger.calls += 1
        while time.monotonic() < give_up_at:
            door = self._random.choice((self._over_rest, self._over_rpc))
            with contextlib.suppress(*UNREACHABLE, httpx.TransportError):
                answer = await door(call)
                if answer is not None:
                    return answer
            self._ledger.retried += 1
            await asyncio.sleep(self._random.uniform(0, wait_s))
            wait_s = min(BACK_OFF_S[1], wait_s * 2)
        raise TimeoutError(f"{call.rpc} was not answered for {ANSWER_WITHIN_S:.0f} s")

    async def _over_rest(self, call: Call) -> Answer | None:
        headers = {"Idempotency-Key": call.key} if call.key else {}
        if call.method == "GET":
            answer = await self._http.get(call.path, params=call.body)
        else:
            answer = await self._http.request(call.method, call.path, json=call.body, headers=headers)
        if answer.is_success:
            told: Answer = answer.json()
            return told
        problem = answer.json()
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or problem["code"] == "key_in_flight":
            return None
        raise Refused(problem["code"])

    async def _over_rpc(self, call: Call) -> Answer | None:
        data = {**call.named, **call.body, **({"key": call.key} if call.key else {})}
        try:
            if self._socket is None or self._socket.closed:
                self._socket = await open_socket(self._url, self.account.token)
            told: Answer = msgspec.json.decode(await self._socket.rpc(call.rpc, data))
            told.pop("replayed", None)  # in REST a header
        except ServerError as error:
            if error.is_temporary:
                return None
            raise Refused(error.word) from None
        return told

    def _key(self) -> str:
        return f"{self._random.getrandbits(96):024x}-{time.time_ns():x}"


def _instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
