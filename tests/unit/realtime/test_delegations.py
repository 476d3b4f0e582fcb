"""Delegated subscriptions end with the token, the session or the rights of the account that issued the token."""

import pytest

from realtime.delegations import DelegationIndex
from realtime.ports import Delegation
from tests.support.realtime_readers import Reader, quiet_hub

OVER = (2501, "token expired")


class Subscriber(Reader):
    """A reader that notes its unsubscribes and leaves the index, as a connection does."""

    def __init__(self, hub, index):
        super().__init__(hub)
        self.index, self.ended = index, []
        self.delegations = {}

    def subscribe(self, channel, delegation):
        self.delegations[channel] = delegation
        self.index.add(delegation, self, channel)

    def unsubscribe_by_server(self, name, code, reason):
        self.index.discard(self.delegations.pop(name), self, name)
        self.ended.append((name, code, reason))
        return True


def delegation(**others):
    return Delegation(**{"user": "u1", "session": "s1", "token": "t1", **others}, confirm=lambda: None)


@pytest.fixture
async def index():
    return DelegationIndex()


@pytest.mark.parametrize("what", ["user", "session", "token"])
async def test_what_rests_on_it_ends_and_nothing_else(index, what):
    hub = quiet_hub()
    reader, other = Subscriber(hub, index), Subscriber(hub, index)
    reader.subscribe("a", delegation())
    reader.subscribe("b", delegation(**{what: "another"}))
    other.subscribe("a", delegation())
    getattr(index, f"end_of_{what}")(getattr(delegation(), what), *OVER)
    assert reader.ended == other.ended == [("a", *OVER)]
    assert list(reader.delegations) == ["b"]


async def test_members_of_a_user_are_found_by_channel(index):
    hub = quiet_hub()
    reader, other = Subscriber(hub, index), Subscriber(hub, index)
    reader.subscribe("a", delegation())
    other.subscribe("b", delegation())
    assert index.members_by_user("u1", "a") == [reader]
    assert index.members_by_user("u2", "a") == []


async def test_a_subscription_that_ended_leaves_nothing_behind(index):
    reader = Subscriber(quiet_hub(), index)
    reader.subscribe("a", delegation())
    reader.unsubscribe_by_server("a", *OVER)
    assert not index._subscriptions
    index.end_of_user("u1", *OVER)
    assert reader.ended == [("a", *OVER)]
