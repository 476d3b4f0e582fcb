"""`./mnbara soak money`: money moves over both doors and through the posting door while everything is killed.

Traders exchange currencies and read wallets and statements (`load/soak/trading.py`); two programs move money that has
no public route (`tests/support/moving_books.py`). Servers, worker, PostgreSQL and both programs are killed with kill -9
in an order of the seed. Then journals, books, statements and wallets must agree.
"""

import asyncio
import json
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from load.accounts import Account
from load.benchmarks.programs import ROOT, BenchmarkError, System
from load.soak.disturbances import Disturbed
from load.soak.trading import CURRENCIES, Ledger, Trader

TRADERS = 8
MOVERS = 2
VICTIMS = ("server-0", "server-1", "worker", "postgres", "mover-0", "mover-1", "mover-0", "mover-1")
PAUSE_S = (0.5, 2.0)
TELL_EVERY_S = 5.0
SETTLE_S = 120.0
ZERO = (
    "mnbara_treasury_trial_balance_minor{",
    "mnbara_treasury_holds_difference_minor{",
    "mnbara_treasury_faulty_accounts",
)
"""Gauges that must show nothing else."""
SHOWN_MAX = 10


@dataclass(slots=True)
class Movers:
    """The programs that post through the door, each with a journal that outlives it."""

    dsn: str
    folder: Path
    users: Sequence[str]
    seed: int
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def journals(self) -> list[str]:
        """The paths of their journals."""
        return [str(self.folder / f"mover-{number}.jsonl") for number in range(MOVERS)]

    async def start(self, name: str, mode: str = "move") -> None:
        """Begin a life of one."""
        words = ["-m", "tests.support.moving_books", mode, self.dsn, f"{self.seed} {name}"]
        words += [str(self.folder / f"{name}.jsonl"), ",".join(self.users)]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = await asyncio.create_subprocess_exec(
                sys.executable, *words, cwd=ROOT, stdout=log, stderr=log
            )

    async def kill(self, name: str) -> None:
        """End a life, and begin the next one."""
        self.running[name].kill()
        await self.running[name].wait()
        await self.start(name)

    async def finish(self) -> list[str]:
        """End all, and let a last life of each bring to an answer what was begun; return violations."""
        for program in self.running.values():
            if program.returncode is None:
                program.kill()
            await program.wait()
        violations = []
        for name in list(self.running):
            await self.start(name, "finish")
            program = self.running[name]
            try:
                async with asyncio.timeout(SETTLE_S):
                    await program.wait()
            except TimeoutError:
                program.kill()
                await program.wait()
            if program.returncode:
                violations.append(f"{name} ended with {program.returncode}: {self._end_of_log(name)}")
        return violations

    async def check(self) -> dict[str, Any]:
        """Return what the judge says. Raises BenchmarkError when it cannot."""
        words = ["-m", "tests.support.moving_books", "check", self.dsn, *self.journals]
        program = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await program.communicate()
        if program.returncode:
            raise BenchmarkError(f"the judge failed: {err.decode(errors='replace')[-500:]}")
        told: dict[str, Any] = json.loads(out)
        return told

    def _end_of_log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-300:]


@dataclass(slots=True)
class MoneySoak:
    """One soak of money."""

    system: System
    traders: Sequence[Trader]
    movers: Movers
    ledger: Ledger
    random: random.Random
    say: Callable[[str], None]
    kills: Counter[str] = field(default_factory=Counter)
    judged: dict[str, Any] = field(default_factory=dict)

    async def go(self, seconds: float) -> bool:
        """Move and kill for that long, come to rest, compare; return whether nothing was violated."""
        for number in range(MOVERS):
            await self.movers.start(f"mover-{number}")
        stop = asyncio.Event()
        trading = [asyncio.create_task(trader.run(stop)) for trader in self.traders]
        disturbing = asyncio.create_task(self._disturb())
        try:
            await self._tell_for(seconds)
        finally:
            disturbing.cancel()
            await asyncio.gather(disturbing, return_exceptions=True)
            stop.set()
            for ended in await asyncio.gather(*trading, return_exceptions=True):
                if ended is not None:
                    self.ledger.violations.append(f"a trader ended: {ended!r}")
            self.ledger.violations += await self.movers.finish()
        await self._compare()
        for trader in self.traders:
            await trader.close()
        self._sum_up()
        return not self.ledger.violations

    async def _disturb(self) -> None:
        disturbed = Disturbed(self.system, (), self.random, self.ledger.violations, self.kills)
        while True:
            for name in self.random.sample(VICTIMS, len(VICTIMS)):
                await asyncio.sleep(self.random.uniform(*PAUSE_S))
                if name.startswith("mover"):
                    self.kills[name] += 1
                    await self.movers.kill(name)
                else:
                    await disturbed.hit(name, signal.SIGKILL)

    async def _tell_for(self, seconds: float) -> None:
        began = time.monotonic()
        while (left_s := began + seconds - time.monotonic()) > 0:
            await asyncio.sleep(max(0.01, min(TELL_EVERY_S, left_s)))
            self.say(f"money {time.monotonic() - began:4.0f} s: {self._figures()}")

    def _figures(self) -> str:
        ledger = self.ledger
        journals = [Path(path) for path in self.movers.journals]
        wanted = sum(path.read_bytes().count(b'"want"') for path in journals if path.exists())
        killed = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items())) or "nobody"
        return (
            f"{len(ledger.exchanged):,} exchanges, {ledger.repeated:,} repeated, {ledger.calls:,} calls "
            f"({ledger.retried:,} tried again), {ledger.pages:,} pages, {wanted:,} chains through the door; "
            f"killed: {killed}; {len(ledger.violations)} violations"
        )

    # -- comparing ------------------------------------------------------------------------------------------------

    async def _compare(self) -> None:
        self.judged = await self.movers.check()
        self.ledger.violations += self.judged["violations"]
        brought: Counter[tuple[str, str]] = Counter()
        for trader in self.traders:
            wallets = await trader.read_wallets()
            for currency in CURRENCIES:
                entries = await trader.read_statement(currency)
                last = entries[-1]["balance"] if entries else 0
                if last != wallets.get(currency, {"available": 0})["available"]:
                    self.ledger.violations.append(f"a wallet of {currency} and its statement differ")
                for entry in entries:
                    brought[entry["ref"], currency] += entry["amount"]
        for quote_id, done in self.ledger.exchanged.items():
            sold, bought = done["sold"], done["bought"]
            moved = (brought[quote_id, sold["currency"]], brought[quote_id, bought["currency"]])
            if moved != (-sold["amount"], bought["amount"]):
                self.ledger.violations.append(f"exchange {quote_id} moved {moved}, not {done}")
        await self._read_treasury()

    async def _read_treasury(self) -> None:
        retrying = httpx.AsyncHTTPTransport(retries=5)
        url = self.system.base_url
        async with httpx.AsyncClient(base_url=url, transport=retrying, timeout=20) as http:
            for line in (await http.get("/metrics")).text.splitlines():
                name, _, value = line.partition(" ")
                if name.startswith(ZERO) and float(value):
                    self.ledger.violations.append(f"the treasury shows {line}")

    def _sum_up(self) -> None:
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(self.judged["counts"].items()))
        self.say(f"money done: {self._figures()}")
        self.say(f"money through the door: {counts}")
        for violation in self.ledger.violations[:SHOWN_MAX]:
            self.say(f"  VIOLATION {violation}")


async def soak_money(
    system: System, accounts: Sequence[Account], minutes: float, seed: int, say: Callable[[str], None]
) -> bool:
    """Soak for that long; return whether nothing was violated. Raises BenchmarkError."""
    folder = system.home / "money"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ledger, people = Ledger(), accounts[:TRADERS]
    movers = Movers(system.postgres_dsn(), folder, [account.user_id for account in people], seed)
    traders = [
        Trader(system.base_url, system.websocket_url, account, ledger, f"{seed} {number}")
        for number, account in enumerate(people)
    ]
    return await MoneySoak(system, traders, movers, ledger, random.Random(seed), say).go(minutes * 60)
