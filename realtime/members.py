"""Connections as the hub sees them, and the index that finds them by user or session."""

from realtime.channels.channel import Channel
from realtime.ports import ChannelRule, Identity
from realtime.transport.writer import Writer


class Member(Writer):
    """A connection as the hub sees it."""

    __slots__ = ()

    session: str
    user: str
    identity: Identity

    def disconnect(self, code: int, reason: str) -> None:
        """End the connection; the code carries the reconnect policy."""
        raise NotImplementedError

    def disconnect_if_idle(self) -> bool:
        """End the connection so that another process takes it (3001); False while a command is under way."""
        raise NotImplementedError

    def subscribe_by_server(self, channel: Channel, rule: ChannelRule) -> None:
        """Begin a subscription the client did not ask for, unless there is one."""
        raise NotImplementedError

    def unsubscribe_by_server(self, name: str, code: int, reason: str) -> bool:
        """End a subscription; False when there was none."""
        raise NotImplementedError


class MemberIndex:
    """Members by a key, which most often has exactly one.

    A key with one member maps to the member itself, a key with several to a set. A set of one takes 216 bytes, and each
    connection stands in two indexes: always using sets would add 430 bytes to the 3 KB of an idle connection.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._members: dict[str, Member | set[Member]] = {}

    def add(self, key: str, member: Member) -> None:
        """Find the member under the key from now on."""
        known = self._members.get(key)
        if known is None:
            self._members[key] = member
        elif isinstance(known, set):
            known.add(member)
        else:
            self._members[key] = {known, member}

    def discard(self, key: str, member: Member) -> None:
        """Remove the member from the key; nothing happens when it is not there."""
        known = self._members.get(key)
        if isinstance(known, set):
            known.discard(member)
            if not known:
                del self._members[key]
        elif known is member:
            del self._members[key]

    def find(self, key: str) -> list[Member]:
        """Return the members of a key, in no order."""
        known = self._members.get(key)
        return [] if known is None else list(known) if isinstance(known, set) else [known]
