"""GCRA as a pure function: worked numbers, and laws that hold for every sequence."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.contract import ANONYMOUS, Caller
from protocols.budgets import Rule, decide, seconds_up
from protocols.values import new_id
from server.commands.ratelimits import ANONYMOUS_RULE, SITE_RULE, USER_RULE, LocalLimits, budgets_of

RULE = Rule("test", count=30, period_s=60, burst=15)
SECOND = 1_000_000


class Clock:
    def __init__(self):
        self.now_us = 1_790_000_000 * SECOND

    def __call__(self):
        return self.now_us


def test_the_worked_numbers_of_rule_14():
    limits = LocalLimits(Clock())
    verdicts = [limits.take("k", RULE, 1) for _ in range(17)]
    assert RULE.limit == 16
    assert verdicts[0][1:] == (True, 15, 0, 2 * SECOND)
    assert verdicts[15][1:] == (True, 0, 0, 32 * SECOND)
    assert verdicts[16][1:] == (False, 0, 2 * SECOND, 32 * SECOND)


def test_waiting_as_told_lets_the_caller_in():
    clock = Clock()
    limits = LocalLimits(clock)
    for _ in range(16):
        limits.take("k", RULE, 1)
    retry_us = limits.take("k", RULE, 1).retry_us
    clock.now_us += retry_us - 1
    assert not limits.take("k", RULE, 1).allowed
    clock.now_us += 1
    assert limits.take("k", RULE, 1).allowed


def test_a_refused_call_costs_nothing():
    clock = Clock()
    limits = LocalLimits(clock)
    for _ in range(16 + 50):
        last = limits.take("k", RULE, 1)
    assert last.reset_us == 32 * SECOND


def test_a_costly_call_takes_its_cost():
    limits = LocalLimits(Clock())
    assert limits.take("k", RULE, 10).remaining == 6
    refused = limits.take("k", RULE, 7)
    assert (refused.allowed, refused.remaining, refused.retry_us) == (False, 6, 2 * SECOND)
    assert limits.take("k", RULE, 6).remaining == 0


def test_a_bidder_may_bid_fifty_times_a_second_for_ever_and_two_hundred_and_fifty_times_at_once():
    clock = Clock()
    limits = LocalLimits(clock)
    assert sum(limits.take("k", USER_RULE, 1).allowed for _ in range(400)) == 251
    clock.now_us += 60 * SECOND
    for _ in range(50 * 60):
        clock.now_us += SECOND // 50
        assert limits.take("k", USER_RULE, 1).allowed


@given(st.lists(st.tuples(st.integers(0, 10 * SECOND), st.integers(1, 5)), max_size=80))
def test_no_window_lets_through_more_than_burst_and_rate(steps):
    now_us, tat_us, taken = 0, 0, []
    for wait_us, cost in steps:
        now_us += wait_us
        verdict, tat_us = decide(tat_us, now_us, cost, RULE)
        if verdict.allowed:
            taken.append((now_us, cost))
        assert 0 <= verdict.remaining <= RULE.limit
        assert (verdict.retry_us > 0) == (not verdict.allowed)
    for i, (start_us, _) in enumerate(taken):
        for j in range(i, len(taken)):
            units = sum(cost for _, cost in taken[i : j + 1])
            assert units <= RULE.limit + (taken[j][0] - start_us) / RULE.unit_us


def test_the_memory_of_callers_is_bounded_and_forgets_whole_budgets_first():
    clock = Clock()
    limits = LocalLimits(clock, keys_max=100)
    for i in range(100):
        limits.take(i, RULE, 1)
    clock.now_us += 3 * SECOND
    for _ in range(16):
        limits.take("busy", RULE, 1)
    assert not limits.take("busy", RULE, 1).allowed
    for i in range(1000):
        limits.take(f"new-{i}", RULE, 1)
        assert len(limits._tats) <= 100


def test_users_have_their_own_budget_and_strangers_share_their_address():
    caller = Caller(user_id=new_id(), remote_ip="1.2.3.4")
    assert budgets_of(caller) == ((caller.user_id, USER_RULE),)
    assert budgets_of(Caller(remote_ip="1.2.3.4")) == (("1.2.3.4", ANONYMOUS_RULE),)
    assert budgets_of(ANONYMOUS)[0][1] is ANONYMOUS_RULE


def test_all_addresses_of_one_ipv6_network_share_its_budget():
    limits, allowed = LocalLimits(Clock()), 0
    for number in range(2 * ANONYMOUS_RULE.limit):
        budgets = budgets_of(Caller(remote_ip=f"2001:db8:1:2::{number:x}"))
        allowed += limits.take_all(budgets, 1).allowed
    assert allowed == ANONYMOUS_RULE.limit
    assert limits.take_all(budgets_of(Caller(remote_ip="2001:db8:1:3::1")), 1).allowed


def test_all_networks_of_one_ipv6_site_share_a_larger_budget():
    limits, allowed = LocalLimits(Clock()), 0
    for number in range(SITE_RULE.limit + 50):
        verdict = limits.take_all(budgets_of(Caller(remote_ip=f"2001:db8:1:{number:x}::1")), 1)
        allowed += verdict.allowed
    assert (allowed, verdict.rule) == (SITE_RULE.limit, SITE_RULE)
    assert limits.take_all(budgets_of(Caller(remote_ip="2001:db8:2::1")), 1).allowed


def test_a_refused_network_takes_nothing_from_its_site():
    limits = LocalLimits(Clock())
    for _ in range(10 * ANONYMOUS_RULE.limit):
        limits.take_all(budgets_of(Caller(remote_ip="2001:db8::1")), 1)
    assert limits.take("2001:db8::/48", SITE_RULE, 0).remaining == SITE_RULE.limit - ANONYMOUS_RULE.limit


def test_waits_are_rounded_up():
    assert [seconds_up(us) for us in (0, 1, SECOND, SECOND + 1)] == [0, 1, 1, 2]
