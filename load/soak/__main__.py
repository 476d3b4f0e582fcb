"""`python -m load.soak [NAME…]`: run soaks one after the other, tell how it goes, end with a verdict."""

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from load.accounts import Account
from load.benchmarks.machine import raise_descriptor_limit
from load.benchmarks.programs import ROOT, BenchmarkError, System, running_system
from load.benchmarks.tokens import mint_tokens
from load.client import open_socket
from load.followers import UNREACHABLE, Follower, Score, following
from load.market import ONE_BY_ONE, open_auctions
from load.soak.bidding import Bidder, Pace, bidding, read_bid_count
from load.soak.disturbances import SOAKS, Disturbed
from load.soak.evidence import Evidence
from load.soak.money import soak_money
from load.waiting import wait_until

PROCESSES = 2
AUCTIONS = 4
BIDDERS = 24
BIDS_PER_S = 400
"""Aimed at while nothing is away: three minutes bring more than 24,000 events, restarts included."""
FOLLOWERS = 60
TELL_EVERY_S = 5.0
LOOK_AGAIN_S = 2.0
"""How long the ends of the channels that were read count before they are read again."""
SETTLE_S = 60.0
"""How long everybody may take to stand at the end of the channels once it is quiet again."""
SHOWN_MAX = 10
MONEY = "money"
WHAT_MONEY = "money moves over both doors and through the posting door; kill -9 of everything that moves it"


def _say(line: str) -> None:
    print(line, flush=True)


@dataclass(slots=True)
class Run:
    """One soak: those who take part and what they saw."""

    name: str
    system: System
    auctions: Sequence[str]
    bidders: Sequence[Bidder]
    followers: Sequence[Follower]
    disturbed: Disturbed
    evidence: Evidence
    score: Score
    pace: Pace

    @property
    def violations(self) -> list[str]:
        """Everything that must not happen and did."""
        return [*self.score.violations, *self.evidence.violations]

    async def go(self, seconds: float) -> bool:
        """Disturb for that long, let it come to rest, compare; return whether nothing was violated."""
        crowd = len(self.followers) - FOLLOWERS
        async with following(self.followers, spread_s=crowd / 500):
            if not await wait_until(lambda: all(f.is_following for f in self.followers), SETTLE_S, 0.1):
                self.evidence.violations.append("not everybody got in before it began")
            async with bidding(self.bidders):
                disturbing = asyncio.create_task(SOAKS[self.name].disturb(self.disturbed))
                try:
                    await self._tell_for(seconds)
                finally:
                    disturbing.cancel()
                    failed = (await asyncio.gather(disturbing, return_exceptions=True))[0]
                    if not isinstance(failed, asyncio.CancelledError):
                        self.evidence.violations.append(f"the disturbance ended by itself: {failed!r}")
            await self._come_to_rest()
        self._tell("at rest")
        for violation in self.violations[:SHOWN_MAX]:
            _say(f"  VIOLATION {violation}")
        return not self.violations

    async def _tell_for(self, seconds: float) -> None:
        began = time.monotonic()
        while (left_s := began + seconds - time.monotonic()) > 0:
            await asyncio.sleep(max(0.01, min(TELL_EVERY_S, left_s)))
            self._tell(f"{time.monotonic() - began:4.0f} s")

    def _tell(self, when: str) -> None:
        there = sum(follower.is_following for follower in self.followers)
        done = (
            ", ".join(f"{name} {count}" for name, count in sorted(self.disturbed.done.items()))
            or "nothing yet"
        )
        _say(
            f"{self.name} {when}: {self.evidence.acked:,} bids acknowledged ({self.pace.retried:,} tried again), "
            f"{self.evidence.taken:,} events taken, {self.score.resumed:,} resumes, {there:,} of "
            f"{len(self.followers):,} following; {done}; {len(self.violations)} violations"
        )

    async def _come_to_rest(self) -> None:
        """Wait until every follower stands at the end of its channels, and compare with the auctions."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            try:
                await self._compare(deadline)
            except UNREACHABLE as error:
                if time.monotonic() > deadline:
                    self.evidence.violations.append(f"the system did not come back: {error!r}")
                    return
                await asyncio.sleep(0.5)
            else:
                return

    async def _compare(self, deadline: float) -> None:
        """Compare once everybody is at the end, or it is too late."""
        while True:
            counts, heads = await self._read_ends()
            if await wait_until(partial(self._all_reached, heads), LOOK_AGAIN_S, 0.1):
                break
            if time.monotonic() > deadline:
                self.evidence.violations.append(
                    f"{self._count_behind(heads)} followers miss the end of a channel"
                )
                break
        for auction_id, count in counts.items():
            self.evidence.compare(f"auctions:{auction_id}", count)

    async def _read_ends(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the number of bids of each auction, and where each channel ends.

        A process that has just lost its bus hears of the last events a moment later, and says so until then.
        """
        socket = await open_socket(self.system.websocket_url)
        try:
            counts = {a: await read_bid_count(socket, a) for a in self.auctions}
            heads = {f"auctions:{a}": (await socket.subscribe(f"auctions:{a}")).offset for a in self.auctions}
        finally:
            socket.close()
        return counts, heads

    def _all_reached(self, heads: Mapping[str, int]) -> bool:
        return not self._count_behind(heads)

    def _count_behind(self, heads: Mapping[str, int]) -> int:
        return sum(any(at != heads[channel] for channel, at in f.positions.items()) for f in self.followers)


async def _prepare(name: str, system: System, accounts: Sequence[Account], seed: int) -> Run:
    seller = await open_socket(system.websocket_url, accounts[0].token)
    auctions = await open_auctions([seller], [time.time() + 7200] * AUCTIONS, increments=ONE_BY_ONE)
    seller.close()
    evidence, score, pace = Evidence(), Score(), Pace(BIDDERS / BIDS_PER_S)
    channels = [f"auctions:{auction_id}" for auction_id in auctions]
    url = system.websocket_url
    tokens = mint_tokens(system.home, system.base_url, SOAKS[name].crowd)
    followers = [Follower(url, "", channels, score, evidence.note_event) for _ in range(FOLLOWERS)]
    for number, token in enumerate(tokens):
        channel = channels[number % AUCTIONS]
        followers.append(Follower(url, token, [channel], score, evidence.note_event))
    if tokens:
        pace.rest_s *= 10  # each event goes to hundreds
    return Run(
        name,
        system,
        auctions,
        [Bidder(url, account.token, auctions, evidence, pace) for account in accounts[1:]],
        followers,
        Disturbed(system, followers, random.Random(seed), evidence.violations),
        evidence,
        score,
        pace,
    )


async def soak(names: Sequence[str], minutes: float, home: Path, seed: int) -> list[str]:
    """Run the named soaks on one private system; return those that were violated."""
    raise_descriptor_limit()
    failed = []
    async with running_system(home, PROCESSES) as system:
        accounts = await system.accounts(BIDDERS + 1)
        for name in names:
            if name == MONEY:
                _say(f"{name}: {WHAT_MONEY}, {minutes:g} min, seed {seed}")
                if not await soak_money(system, accounts, minutes, seed, _say):
                    failed.append(name)
                continue
            _say(f"{name}: {SOAKS[name].what}, {minutes:g} min, seed {seed}")
            run = await _prepare(name, system, accounts, seed)
            if not await run.go(minutes * 60):
                failed.append(name)
    return failed


def main(arguments: Sequence[str]) -> int:
    """Return 0 when nothing was violated."""
    every = [*SOAKS, MONEY]
    parser = argparse.ArgumentParser(
        prog="./mnbara soak",
        description="Disturb a private system under load; nothing may be lost or doubled.",
        epilog="example: ./mnbara soak kills --minutes 10",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(every)}; default: all")
    parser.add_argument("--minutes", type=float, default=3.0, help="length of each, default 3")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the order of kills; default: another each time"
    )
    parser.add_argument("--home", type=Path, default=ROOT / ".local" / "soak", help="where it keeps its data")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(every))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(every)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end what runs, in order
    seed = chosen.seed if chosen.seed is not None else random.randrange(1_000_000)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            failed = uvloop.run(soak(chosen.names or every, chosen.minutes, chosen.home.resolve(), seed))
            _say(
                f"VIOLATED: {', '.join(failed)}"
                if failed
                else "no violation: nothing lost, doubled or out of order"
            )
            return 1 if failed else 0
    except BenchmarkError as error:
        print(f"mnbara: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
