"""Members are found by a key, whether it has one or several, and a key without members takes no memory."""

from realtime.members import MemberIndex
from tests.support.realtime_readers import Reader, quiet_hub


async def test_one_and_several_members_are_found_until_they_are_removed():
    hub, index = quiet_hub(), MemberIndex()
    one, two = Reader(hub), Reader(hub)
    index.add("u1", one)
    assert index.find("u1") == [one]
    index.add("u1", two)
    assert set(index.find("u1")) == {one, two}
    index.discard("u1", one)
    assert index.find("u1") == [two]
    index.discard("u1", one)
    index.discard("u1", two)
    assert index.find("u1") == []
    assert not index._members


async def test_a_member_of_another_key_stays():
    hub, index = quiet_hub(), MemberIndex()
    one, two = Reader(hub), Reader(hub)
    index.add("u1", one)
    index.discard("u1", two)
    index.discard("u2", one)
    assert index.find("u1") == [one]
