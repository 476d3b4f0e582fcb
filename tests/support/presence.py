"""Presence in one process: who is in which channel, counted like the store of all processes does."""

from realtime.ports import PresenceChange


class MemoryPresence:
    def __init__(self):
        self.channels: dict[str, dict[str, PresenceChange]] = {}
        self.batches: list[list[PresenceChange]] = []
        self.failing = False

    async def apply(self, changes):
        if self.failing:
            raise ConnectionError("presence is away")
        self.batches.append(list(changes))
        for change in changes:
            clients = self.channels.setdefault(change.channel, {})
            clients.pop(change.client, None)
            if change.info is not None:
                clients[change.client] = change
            if not clients:
                del self.channels[change.channel]

    async def members(self, channel, limit):
        clients = self.channels.get(channel, {})
        if len(clients) > limit:
            return None
        return {client: change.info for client, change in clients.items()}

    async def count(self, channel):
        clients = self.channels.get(channel, {}).values()
        return len(clients), len({change.user for change in clients})
