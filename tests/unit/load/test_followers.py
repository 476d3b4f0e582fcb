"""Followers against the realtime core on a real socket: they come back, resume, and notice what is wrong."""

import pytest

from handlers.auth.keys import KeyRing
from handlers.auth.tokens import TokenVerifier
from load import followers as module
from load.benchmarks.audience import arrivals
from load.benchmarks.tokens import mint_tokens
from load.benchmarks.watch import Watcher
from load.followers import Follower, Score, following
from realtime.limits import Limits
from tests.support.realtime_app import running_app
from tests.support.waiting import until

CHANNEL = "auctions:a"


@pytest.fixture(autouse=True)
def quick_returns(monkeypatch):
    monkeypatch.setattr(module, "BACK_OFF_S", (0.02, 0.2))


async def test_a_follower_that_is_cut_off_resumes_with_the_exact_sequence():
    async with running_app() as app:
        app.commit(CHANNEL, "1")
        score = Score()
        follower = Follower(app.url, "u:s", [CHANNEL], score)
        async with following([follower]):
            await until(lambda: follower.is_following)
            for number in range(2, 5):
                app.commit(CHANNEL, str(number))
            await until(lambda: follower.positions[CHANNEL] == 4)
            for cut in range(1, 4):
                follower.cut()
                app.commit(CHANNEL, "7", "8")
                await until(lambda at=4 + 2 * cut: follower.positions[CHANNEL] == at)
                await until(lambda times=cut: score.resumed == times)
        assert (score.violations, score.taken, score.resumed) == ([], 9, 3)
        assert len(score.returns) == 3


async def test_a_refused_follower_comes_back_when_there_is_room():
    async with running_app(Limits(connections_max=1)) as app:
        first, second = (Follower(app.url, "", [CHANNEL], Score()) for _ in range(2))
        async with following([first]):
            await until(lambda: first.is_following)
            score = Score()
            second = Follower(app.url, "", [CHANNEL], score)
            async with following([second]):
                await until(lambda: score.failures)
                first.stop()
                await until(lambda: second.is_following)
        assert score.violations == []


async def test_a_gap_a_repeat_and_a_lost_position_are_violations():
    async with running_app() as app:
        app.commit(CHANNEL, "1", "2")
        score = Score()
        follower = Follower(app.url, "", [CHANNEL], score)
        async with following([follower]):
            await until(lambda: follower.is_following)
            follower._positions[CHANNEL] = ("e1", 0)
            app.commit(CHANNEL, "3")
            await until(lambda: score.violations)
            assert score.violations == [f"{CHANNEL}: 3 after 0"]
            follower._positions[CHANNEL] = ("another epoch", 3)
            follower.cut()
            await until(lambda: len(score.violations) == 2)
            assert "could not resume after 3" in score.violations[1]


async def test_being_sent_away_for_good_is_a_violation():
    async with running_app() as app:
        score = Score()
        follower = Follower(app.url, "u:s", [CHANNEL], score)
        async with following([follower]):
            await until(lambda: follower.is_following)
            app.hub.disconnect_user("u", 4501, "session over")
            await until(lambda: follower.stopping)
        assert len(score.violations) == 1
        assert score.violations[0].startswith("sent away for good: 4501")


def test_a_frame_with_several_events_is_several_arrivals():
    watcher = Watcher()
    watcher.reached = [(4, 1.0), (6, 2.0)]
    assert arrivals(watcher, 3) == [(4, 1.0), (5, 2.0), (6, 2.0)]


def test_minted_tokens_are_what_the_server_accepts(tmp_path):
    keys = KeyRing(tmp_path / "secrets")
    verifier = TokenVerifier(keys, "http://here", None)
    one, other = (verifier._reader.read(token) for token in mint_tokens(tmp_path, "http://here", 2))
    assert one.caller.user_id != other.caller.user_id
    assert one.caller.roles == frozenset()
